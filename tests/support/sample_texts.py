"""What the sample installation asks and is answered."""

from dataclasses import dataclass

from core.storage.records import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleAgent:
    """An agent of the sample installation.

    Attributes:
        model: A key of `sample_data._MODELS`.
        versions: (system prompt, note), oldest first.
        exchanges: (prompt, answer).
        share: Of all runs.
        input_tokens, output_tokens: In the middle.
    """

    name: str
    description: str
    model: str
    versions: tuple[tuple[str, str], ...]
    prompt: str
    exchanges: tuple[tuple[str, str], ...]
    share: float
    input_tokens: int
    output_tokens: int
    trigger: Trigger
    max_tokens: int | None = None


AGENTS = (
    SampleAgent(
        name="Support triage",
        description="Sorts incoming mail into a queue and a priority.",
        model="mini",
        versions=(
            ("Sort the customer's mail into a queue.", "First version"),
            ("Sort the customer's mail into one of: billing, delivery, defect, other.", "Name the queues"),
            (
                "Sort the customer's mail into one of: billing, delivery, defect, other.\n"
                "Give a priority from 1 (today) to 3 (this week). Answer in one line.",
                "Add a priority, one line",
            ),
        ),
        prompt="{{mail}}",
        exchanges=(
            (
                "My invoice of 3 November shows the old address, and the amount is 12 euros too high.",
                "billing, 2",
            ),
            ("The parcel says delivered, but nobody here has it. I need it by tomorrow.", "delivery, 1"),
            ("The left hinge broke on the second day. Photos are attached.", "defect, 2"),
            ("Do you also sell spare parts for the 2019 model?", "other, 3"),
        ),
        share=0.46,
        input_tokens=620,
        output_tokens=14,
        trigger=Trigger.API,
        max_tokens=60,
    ),
    SampleAgent(
        name="Contract summary",
        description="Ten lines on what a contract binds us to, with the clauses' numbers.",
        model="large",
        versions=(
            ("Summarise the contract in ten lines. Quote the number of each clause.", "First version"),
            (
                "Summarise the contract in ten lines. Quote the number of each clause.\n"
                "Say plainly what is missing: term, notice, liability, data protection.",
                "Ask for what is missing",
            ),
        ),
        prompt="{{contract}}",
        exchanges=(
            (
                "Framework agreement for hosting, 14 pages, signed in March. The whole text follows. [...]",
                "1. Term of 24 months, then open-ended (4.1).\n2. Three months' notice (4.3).\n"
                "3. 99.9 % availability a month, credits above that (6.2).\nMissing: a cap on liability.",
            ),
            (
                "Supply agreement for packaging, 9 pages, draft. The whole text follows. [...]",
                "1. Prices fixed until year's end (3.2).\n2. Minimum of 4,000 pieces a quarter (3.5).\n"
                "Missing: data protection.",
            ),
        ),
        share=0.13,
        input_tokens=9_400,
        output_tokens=520,
        trigger=Trigger.CLI,
        max_tokens=1_200,
    ),
    SampleAgent(
        name="Nightly report",
        description="Turns yesterday's figures into a page for the team.",
        model="reasoning",
        versions=(
            ("Write one page about yesterday's figures. Name what is unusual and why.", "First version"),
        ),
        prompt="{{figures}}",
        exchanges=(
            (
                "orders=812 returns=31 revenue=48,210 tickets=64 late=9",
                "Orders were 6 % above a usual Thursday. Returns are unusual: 31, 19 of one article.",
            ),
            (
                "orders=640 returns=12 revenue=39,880 tickets=41 late=2",
                "A quiet day. Tickets fell for the third day in a row since the delivery page was changed.",
            ),
        ),
        share=0.08,
        input_tokens=2_100,
        output_tokens=1_500,
        trigger=Trigger.PYTHON,
    ),
    SampleAgent(
        name="Language detection",
        description="The language of a text, as a code.",
        model="fast",
        versions=(("Answer with the ISO 639-1 code of the text's language, nothing else.", "First version"),),
        prompt="{{text}}",
        exchanges=(
            ("Wo bleibt mein Paket?", "de"),
            ("La bisagra se rompió el segundo día.", "es"),
            ("Where is my parcel?", "en"),
        ),
        share=0.2,
        input_tokens=140,
        output_tokens=2,
        trigger=Trigger.API,
        max_tokens=4,
    ),
    SampleAgent(
        name="Product texts (own server)",
        description="Drafts product texts on a model in our own rack; nobody has entered its price yet.",
        model="own",
        versions=(("Write three sentences about the product. No superlatives.", "First version"),),
        prompt="{{product}}",
        exchanges=(
            (
                "Folding table, oak, 120 x 70 cm, 14 kg",
                "This oak table seats four and folds flat in one movement. It weighs 14 kg.",
            ),
        ),
        share=0.06,
        input_tokens=480,
        output_tokens=90,
        trigger=Trigger.PYTHON,
    ),
)

QUESTIONS = (
    ("Say hello in three languages.", "Hello. Guten Tag. Buenos días."),
    (
        "Which of these two subject lines is clearer?",
        "The second: it says what the reader has to do, and by when.",
    ),
    ("Turn this list into a table.", "| article | pieces |\n| --- | --- |\n| hinge | 40 |\n| screw | 320 |"),
)
