// Everything about a pair of angular momenta that depends on neither exponents nor positions.
//
// For shells of degree l_a, l_b the integrals are u_a u_b (-1)^l_b Σ_k G_k(R) f_k(p, R²) with
// L = |l_a - l_b| + 2k, k = 0 … n, n = min(l_a, l_b): see cpp/README.md.
#pragma once

namespace densnet {

constexpr int kMaxL = 6;                // of a shell
constexpr int kMaxOrder = 2 * kMaxL;    // of a coupled harmonic and of the Boys function
constexpr int kMaxTerms = kMaxL + 1;    // values of k

// Largest absolute error of an overlap of two normalised shells, and largest error of a Coulomb
// integral relative to the multipole interaction that replaces it, from cutting at a limit of T = pR².
constexpr double kOverlapError = 1e-16;
constexpr double kCoulombError = 1e-15;

struct Coupling {
    int l_a, l_b;
    int n;       // min(l_a, l_b)
    int l_low;   // |l_a - l_b|
    int l_high;  // l_a + l_b

    // G_k[m_a][m_b] = value[e][0] S[harmonic[e][0]] + value[e][1] S[harmonic[e][1]], with
    // e = (k (2 l_a + 1) + m_a)(2 l_b + 1) + m_b in the coefficient order of the shells, and S the
    // solid harmonics of R at index L² + L + M. No product has more than two harmonics of a degree.
    const int (*harmonic)[2];
    const double (*value)[2];
    int n_entries;  // (n + 1)(2 l_a + 1)(2 l_b + 1), and 8 zeros after them

    // Overlap: f_k = c e^{-T} (-p)^k Σ_d overlap_radial[k][d] T^d, d ≤ n - k.
    // Coulomb, k < n: the same with q in the place of c and coulomb_radial, d ≤ n - k - 1;
    // f_n = 2 q (-p)^n F_{l_high}(T).
    double overlap_radial[kMaxTerms][kMaxTerms];
    double coulomb_radial[kMaxTerms][kMaxTerms];

    // In the frame whose z axis is R, the block is diagonal in m, the same for m and -m:
    // overlap  M_m = c R^{l_low} e^{-T} Σ_d overlap_axial[m][d] T^d
    // Coulomb  M_m = q R^{l_low} (e^{-T} Σ_d coulomb_axial[m][d] T^d + top[m] T^n F_{l_high}(T))
    // and R ∂M_m/∂R is the same with the _slope polynomials, and -(l_high + 1) top[m] for the last.
    double overlap_axial[kMaxTerms][kMaxTerms + 1];
    double overlap_slope[kMaxTerms][kMaxTerms + 1];
    double coulomb_axial[kMaxTerms][kMaxTerms + 1];
    double coulomb_slope[kMaxTerms][kMaxTerms + 1];
    double top[kMaxTerms];
    // Far apart M_m = u_a u_b far[m] / R^{l_high + 1}, (-1)^{l_b} included.
    double far[kMaxTerms];

    // T beyond which an overlap is dropped, and a Coulomb integral is the interaction of multipoles.
    double overlap_limit;
    double coulomb_limit;
};

// The coupling of two degrees, 0 to kMaxL each; built once for the process.
const Coupling& coupling(int l_a, int l_b);

// √((2l+1)/4π (l-m)!/(l+m)!) (2m-1)!!, and √2 more for m > 0, at [l (kMaxOrder + 1) + m]: what is
// missing in solid harmonics whose Legendre recursion starts from 1.
const double* harmonic_norms();

// (2n - 1)!!
double double_factorial(int n);

}  // namespace densnet
