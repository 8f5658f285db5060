from .cells.itk import view_itk as view_itk
from .cells.jupyter import show as show
