"`python -m evoselfcode` is the command `evoselfcode`."
from .cli import main

main()
