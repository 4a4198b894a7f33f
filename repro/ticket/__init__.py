"""Find an early winning ticket of any network, on any data, by the paper's strategy (docs/ticket.md).

from repro.ticket import Recipe, find_ticket

result = find_ticket(model, train_set, test_set, Recipe(...), sparsity=0.8, on_event=print)
print(result.table())
"""

from repro.config.recipe import Recipe
from repro.ticket.result import Event, Outcome, Result
from repro.ticket.search import find_ticket
from repro.ticket.search_spec import Plateau, SearchOptions, find_plateau

__all__ = ["Event", "Outcome", "Plateau", "Recipe", "Result", "SearchOptions", "find_plateau", "find_ticket"]
