// Rotations of real solid harmonics, from constant sparse matrices.
//
// With Y(Qr) = D(Q) Y(r), the rotation Q that takes R to the z axis has D = Cᵀ Z(θ) C Z(φ): Z turns
// about z, C belongs to the cyclic exchange (x, y, z) → (z, x, y), which makes y the polar axis.
#pragma once

#include "densnet/couplings.hpp"

namespace densnet {

struct SparseMatrix {
    const int* first;  // of each row
    const int* column;
    const double* value;
};

// Of degree l, rows and columns m = -l … l.
struct Rotation {
    SparseMatrix exchange;            // C
    SparseMatrix exchange_transpose;  // Cᵀ
    SparseMatrix turn_x;              // generator of turns about x: x̂·(r × ∇) Y = turn_x Y
    SparseMatrix turn_y;
};

// Built once for the process.
const Rotation& rotation(int l);

}  // namespace densnet
