"""Where an element stands in a page of Streamlit's test runner."""

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block, Node


def place_of(app: AppTest, wanted: Node) -> list[int]:
    """Its position in each container around it, from the page inwards.

    What is drawn at another position than before stands there twice in a browser until the page is drawn whole.
    """

    def search(block: Block) -> list[int] | None:
        for number, child in block.children.items():
            if child is wanted:
                return [number]
            if isinstance(child, Block) and (found := search(child)) is not None:
                return [number, *found]
        return None

    found = search(app.main)
    if found is None:
        raise AssertionError("it is not on the page")
    return found
