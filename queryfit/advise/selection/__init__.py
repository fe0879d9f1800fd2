"""Which of the candidates to have."""
