"""A well-formed token that was never issued, the same in every process: names of tests must not change from run to run."""

from __future__ import annotations

from example.identity import tokens

_BODY = "pm_pat_Cana8y00Id12" + "s3cr3tS3cr3tOfTh3Canary0123456AB"
KNOWN = _BODY + tokens._checksum(_BODY)
assert tokens.parse(KNOWN).text == KNOWN
