"""The log of transitions, evidence out of the ledger, and what deploys, reviews and rolls back strategies.

What is legal, what holds and what follows is decided in `domain.lifecycle`; here it is read, stored and made to count.
"""
