"""One of the processes of a training that a launcher started: see `launching`."""
import sys

from evoselfcode.pipeline.train_sft import learn_job

if __name__ == "__main__": learn_job(sys.argv[1])
