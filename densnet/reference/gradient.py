"""Nuclear gradient of density-fitted Kohn–Sham with one pass over the grid."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyscf import lib
from pyscf.df.grad import rks as df_rks_gradient

from densnet.reference.kept_grid import occupied_orbitals


def compute_gradient(method: Any) -> NDArray[np.float64]:
    """Nuclear gradient (n_atoms, 3), hartree/bohr, without the response of the grid weights."""
    if method._numint.handles(method.xc):
        return np.asarray(KeptGridGradients(method).kernel())
    return np.asarray(method.nuc_grad_method().kernel())


class KeptGridGradients(df_rks_gradient.Gradients):  # type: ignore[misc]
    """PySCF's density-fitted gradient with the exchange–correlation part in one grid pass."""

    def get_veff(self, mol: Any = None, dm: Any = None) -> Any:
        """Coulomb (and exchange) derivative matrices; the grid's part waits in `xc_gradient`."""
        method = self.base
        mol = self.mol if mol is None else mol
        dm = method.make_rdm1() if dm is None else dm
        integrator = method._numint
        self.xc_gradient = integrator.gradient_per_orbital(
            mol, method.grids, method.xc, occupied_orbitals(dm)
        )
        if not integrator.libxc.is_hybrid_xc(method.xc):
            vj = self.get_j(mol, dm)
            return lib.tag_array(vj, aux=vj.aux.sum((0, 1)))
        omega, alpha, hybrid = integrator.rsh_and_hybrid_coeff(method.xc, spin=mol.spin)
        vj, vk = self.get_jk(mol, dm)
        veff = vj - vk * (0.5 * hybrid)
        aux = (vj.aux - vk.aux * (0.5 * hybrid)).sum((0, 1))
        if omega != 0.0:
            vk = self.get_k(mol, dm, omega=omega)
            veff = veff - vk * (0.5 * (alpha - hybrid))
            aux = aux - vk.aux.sum((0, 1)) * (0.5 * (alpha - hybrid))
        return lib.tag_array(np.asarray(veff), aux=aux)

    def extra_force(self, atom_id: int, envs: dict[str, Any]) -> Any:
        """Auxiliary-basis response plus the exchange–correlation part of one atom."""
        first, last = self.mol.aoslice_by_atom()[atom_id, 2:]
        return super().extra_force(atom_id, envs) + self.xc_gradient[:, first:last].sum(axis=1)
