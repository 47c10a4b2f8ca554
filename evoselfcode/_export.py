"How the notebooks are exported, beside what nbdev does: pyproject.toml names this."


def apart(cell):
    "Put a blank line below the mark of a cell, which would be taken for a comment on the function there."
    if cell.cell_type == "code" and "export" in cell.directives_: cell.set_source("\n" + cell.source)
