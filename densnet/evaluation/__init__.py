"""How good a model is: errors of density, dipole, energy and forces on labelled frames."""
