"""Traffic as people have it: the tests of a server. GATE_URL is where it listens, GATE_PATHS what is asked for."""
import os
import urllib.request

import pytest

EACH = 200


@pytest.mark.parametrize("path", os.environ["GATE_PATHS"].split())
def test_answers(path):
    for number in range(EACH):
        with urllib.request.urlopen(os.environ["GATE_URL"] + path.replace("N", str(number))) as answer:
            assert answer.status == 200
