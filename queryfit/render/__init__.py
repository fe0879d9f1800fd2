"""The forms that findings take; no facts are made here."""
