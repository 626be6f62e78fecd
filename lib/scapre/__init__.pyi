"""The public names and the modules that define them."""

from .concepts.emoji import load_emoji as load_emoji
from .concepts.lists import read_concepts as read_concepts
from .concepts.names import ConceptError as ConceptError
from .editing.erase import erase as erase
from .editing.erase import remember as remember
from .editing.memory import Memory as Memory
from .editing.sequence import solve_next as solve_next
from .editing.solve import solve as solve
from .methods.registry import methods as methods
from .model.backbones import load_pipeline as load_pipeline
from .patch.patch import Patch as Patch
from .patch.places import PatchError as PatchError
