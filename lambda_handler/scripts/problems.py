"""What a script says when it cannot go on."""


class ScriptError(Exception):
    """Its text names what is wrong and what to do; nothing is left half done."""
