"""Every tolerance of the tests, with its reason. A test imports its tolerance from here.

Names say what is compared; values are absolute unless the name ends in ``_RELATIVE``. A tolerance
is widened only with a better reason, never because a test fails.
"""

from typing import Final

# --- arithmetic ---------------------------------------------------------------------------------
# Double precision carries 16 digits; sums of some hundred terms of size one lose two or three.
ROUNDING: Final = 1e-12
ROUNDING_RELATIVE: Final = 1e-12
# Single precision carries 7 digits; a network of a few layers loses one or two.
SINGLE_RELATIVE: Final = 1e-5

# The compiled engine against the model in Python: the same operations in another order, in float64
# through some thirty products; in float32 relative to the largest element of each output.
ENGINE_RELATIVE: Final = 1e-11
ENGINE_SINGLE_RELATIVE: Final = 2e-4

# --- constants ----------------------------------------------------------------------------------
# CODATA 2010, 2014 and 2018 differ by at most 3e-8 in hartree, bohr and debye; the Boltzmann
# constant, redefined in 2019, moved by 6e-7 against 2014 and 1e-6 against 2010.
CODATA_RELATIVE: Final = 5e-8
CODATA_BOLTZMANN_RELATIVE: Final = 2e-6
# i-PI's table is of 2002: its electronvolt, printed with eight digits, differs by 1.04e-7.
IPI_RELATIVE: Final = 2e-7

# --- symmetries and derivatives -----------------------------------------------------------------
# Exact symmetries of a float64 network: rounding, amplified by the layers.
SYMMETRY: Final = 1e-9
# Charge is conserved by construction: antisymmetric transfers cancel to rounding.
CHARGE: Final = 1e-10
# Central differences of step h have an error of order h^2 f''' / 6 + rounding / h: for h = 1e-4
# bohr and energies of order one, 1e-8 hartree/bohr.
CENTRAL_DIFFERENCE: Final = 1e-7

# --- density ------------------------------------------------------------------------------------
# Constraints of a fit (electrons; e·bohr): solved twice, so only rounding is left.
CONSTRAINT: Final = 1e-10
# Coefficients of two exact solutions of one fit differ by rounding times cond(J), up to 1e8.
FIT_COEFFICIENTS: Final = 1e-7
# Becke grids of level 5 integrate a molecular density and its dipole to some 1e-5.
BECKE_GRID: Final = 5e-5
# L1 error (%) of the fitted free atoms against the free atoms: the worst, oxygen, has 0.034.
PRIOR_L1_PERCENT: Final = 0.04
# A cube holds seven digits of a value, and its spacing six decimals of a bohr.
CUBE_RELATIVE: Final = 2e-6

# --- labels -------------------------------------------------------------------------------------
# Two SCF runs converged to 1e-9 hartree and an orbital gradient of 1e-6.
LABEL_ENERGY: Final = 1e-8
LABEL_FORCES: Final = 1e-6
LABEL_DIPOLE: Final = 5e-6
# The shipped reference frames stopped at PySCF's default orbital gradient, 3e-5: energies are off
# by its square, forces and dipoles (e·bohr) linearly.
REFERENCE_ENERGY: Final = 1e-6
REFERENCE_FORCES: Final = 1e-5
REFERENCE_DIPOLE: Final = 2e-5
# A packed density matrix in single precision gives dipoles back to its rounding times its size.
SINGLE_DENSITY_DIPOLE: Final = 1e-6

# --- spectra ------------------------------------------------------------------------------------
# Area of a sharp line against its analytic intensity: the segment cuts the line's last period, so
# the mean square over n periods is off by up to 1/(4πn); with 300 periods or more, 3e-4.
LINE_AREA_RELATIVE: Final = 1e-3
# Light a slow rotation may leak into the vibrations, relative to a band of 10 km/mol.
LEAKAGE_RELATIVE: Final = 1e-4
# Statistical tests allow four standard deviations: one false alarm in 16000.
SIGMAS: Final = 4.0
# ASE's conversion of intensities to km/mol has five digits (42.255), its CODATA is of 2014.
ASE_INTENSITY_RELATIVE: Final = 5e-5
# A finite-difference Hessian (0.01 Å) of one code against another's: anharmonicity of fourth order
# enters both alike, rounding of the forces does not, cm⁻¹.
FINITE_DIFFERENCE_CM1: Final = 0.5
# Coupled-perturbed equations against finite fields of 1e-3 on the same grid: the third derivative
# of the dipole leaves some 1e-4. On a level-0 grid solved to 1e-3, measured 0.35 % for water (its
# worst element) and 0.03 % for ethanol.
POLARIZABILITY_SAME_GRID_RELATIVE: Final = 5e-4
POLARIZABILITY_RELATIVE: Final = 5e-3

# --- integrals ----------------------------------------------------------------------------------
# Largest error of an overlap or Coulomb matrix against exact arithmetic or libcint, relative to the
# largest element.
INTEGRALS_RELATIVE: Final = 1e-12
# Fused forms and the explicit matrix sum the same terms in another order, and drop what is below
# their stated error bound.
FUSED_RELATIVE: Final = 1e-13
# Central differences with h = 1e-3 of functions that vary on the scale of 1/√a: h² f''' / 6 after
# one Richardson step is some 1e-9 of the gradient.
RICHARDSON_RELATIVE: Final = 1e-8
