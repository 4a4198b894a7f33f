"""The paper's strategy as a tool: find an early winning ticket of your own network, on your own data.

    from repro.ticket import Recipe, find_ticket

    result = find_ticket(model, train_set, test_set, recipe=Recipe(...), sparsity=0.8, on_event=print)
    print(result.table())

It trains the network dense and checks PPR as it goes (paper section 3.3), says from which epoch pruning is
safe, prunes gradually from there (section 3.4, Eq. 6) and retrains. docs/ticket.md tells what is counted.
"""

from repro.config.params import Recipe
from repro.ticket.events import Event
from repro.ticket.plateau import Plateau, find_plateau
from repro.ticket.result import Check, Outcome, Result
from repro.ticket.search import find_ticket

__all__ = ["Check", "Event", "Outcome", "Plateau", "Recipe", "Result", "find_plateau", "find_ticket"]
