// The inner loops, compiled once per instruction set and chosen at run time.
//
// Only plain pointers and plain structures cross this border: a standard-library template that was
// instantiated with wide instructions could otherwise be picked by the linker for the whole program.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "densnet/boys_table.hpp"
#include "densnet/couplings.hpp"
#include "densnet/rotations.hpp"

namespace densnet {

constexpr int kMaxLanes = 8;

// All pairs of primitives of two groups, see RadialPairs.
struct RadialView {
    const Coupling* coupling;
    int n_padded;
    const double* p;
    const double* c;
    const double* w;
};

// The integrals of all shells of a group with all of another: M[(i, m_a), (j, m_b)] = Σ_k f_k[i, j]
// G_k[m_a, m_b]. In row i only shells j < near[i] need every k; beyond it overlaps vanish, and
// Coulomb integrals keep only the last k.
struct BlockView {
    const Coupling* coupling;
    int n_a, n_b;            // shells
    const double* f;         // [k][i n_b + j], rows of k f_stride apart; 8 more readable at the end
    int f_stride;
    const double* g;         // [k][m_a][m_b]; 8 more readable at the end
    const int* near;
    double* out;             // row (i, m_a), column (j, m_b)
    std::ptrdiff_t out_stride;
    double* scratch;         // block_scratch_size doubles
    bool write_zeros;        // whether elements that vanish have to be written
};

// The interaction of all multipoles (l, m) of one atom, in rows, with the functions of another, in
// columns, as if their moments were 1.
struct InteractionView {
    const double* table;           // G of the last k; 8 more readable at the end
    const std::size_t (*offset)[kMaxL + 1];  // of the block of two degrees
    int l_a;
    int n_groups;
    const int* l;                  // of each group
    const int* n_shells;
    double* out;                   // 8 more writeable at the end
    std::ptrdiff_t out_stride;
};

// Rows of distant columns, out[i, j] = row_moment[i] column_moment[j] interaction[multipole[i], j].
struct DistantRows {
    int n_rows, n_columns;
    const double* row_moment;
    const double* column_moment;
    const int* multipole;
    const double* interaction;
    std::ptrdiff_t stride;         // of the rows of `interaction`
    double* out;
    std::ptrdiff_t out_stride;
    bool streamed;                 // past the caches
};

// One group of shells as the pair forms see it.
struct FormGroup {
    int l;
    int n_shells;
    int n_primitives;
    int first_function;
    int first_primitive;        // within the basis
    const int* shell;           // of each primitive
    const double* exponents;
    const double* weights;      // w of each primitive
    const double* reduced;      // u of each primitive
    const double* potential;    // 2 √(a/π) (2a)^l u of each primitive
    double smallest;            // exponent
    const double* moment;       // of each shell
};

struct FormRadial {
    const Coupling* coupling;
    const double* p;
    const double* c;
    double smallest_p;
};

// Up to kMaxLanes atom pairs of the same two species. With c_A, c_B the coefficients of the pair:
// y_A += M_AB c_B, y_B += M_BA c_A, and the gradients of 2 c_Aᵀ M_AB c_B.
struct FormChunk {
    int n_pairs;
    int n_groups_a, n_groups_b;
    const FormGroup* groups_a;
    const FormGroup* groups_b;
    const FormRadial* radial;           // [g_a n_groups_b + g_b]
    int n_functions_a, n_functions_b;
    bool coulomb;
    bool gradients;
    double vectors[3][kMaxLanes];        // A - B; padded with copies of the last pair
    const double* c_a[kMaxLanes];
    const double* c_b[kMaxLanes];
    double* y_a[kMaxLanes];
    double* y_b[kMaxLanes];
    double* gradient_a[kMaxLanes];       // (3,)
    double* gradient_b[kMaxLanes];
    // For each primitive of the basis: Σ of the energy it takes part in, and the derivative of that
    // energy with respect to its exponent through p.
    double* energy_of;
    double* slope_of;
    double* scratch;                     // form_scratch_size doubles
};

// Atom a with all before it, b < a, that are distant: potentials on the multipoles of both, added to
// those of the others, up to l_max of each atom, or l_max + 1 for gradients. Atoms ascend by l_max;
// every array of atoms has `stride` places, a multiple of 8.
struct DistantRow {
    int a;
    const int* l_max;
    const double* positions[3];
    const double* squared_reach;  // R² beyond which atom b is distant from a
    const double* multipoles;     // [term of an expansion][real, imaginary][atom]
    std::ptrdiff_t stride;
    double* potentials;           // as the multipoles
    bool gradients;
};

// Terms (l, m) of an expansion, 0 ≤ m ≤ l, real and imaginary parts; a multiple of 8 numbers.
constexpr int expansion_place(int l, int m) { return l * (l + 1) / 2 + m; }
constexpr int expansion_size(int order) { return (2 * expansion_place(order + 1, 0) + 7) / 8 * 8; }
constexpr int kMaxExpansion = 24;  // highest order

// Up to kMaxLanes atoms of a group, and expansions about its centre: their multipoles are added to one of
// them, or what the other makes of the potential about every atom is written. Terms of atoms are
// [term][real, imaginary][lane], up to l_max.
struct GroupAtoms {
    int order, l_max;
    double offsets[3][kMaxLanes];  // from the centre
    const double* multipoles;
    double* expansion;             // added to
    const double* about;
    double* potentials;
    double* scratch;               // group_scratch_size doubles
};

// Up to kMaxLanes pairs of distant groups: the potential of the multipoles of each about the centre of
// the other, terms of degrees j and l with j + l ≤ order.
struct GroupPairs {
    int order, n_pairs;
    double vectors[3][kMaxLanes];  // A - B; padded with copies of the last pair
    const double *multipoles_a[kMaxLanes], *multipoles_b[kMaxLanes];
    double *potentials_a[kMaxLanes], *potentials_b[kMaxLanes];  // added to
    double* scratch;               // group_scratch_size doubles
};

constexpr std::size_t group_scratch_size(int order) {
    return static_cast<std::size_t>(kMaxLanes) * (4 * expansion_size(order) + 2 * (order + 1) * (order + 1));
}

// One atom of an expansion on points.
struct PointsAtom {
    double position[3];
    int l_max;
    int n_groups;
    const FormGroup* groups;
    const double* coefficients;          // m = -l … l within each shell
    const double* multipoles;            // Σ moment c of each group, 2 l + 1 values a group
};

// Σ_A Σ_shells Σ_m c R(|r - A|²) S_lm(r - A) on points.
struct PointsJob {
    int n_atoms;
    const PointsAtom* atoms;
    const double* points;                // (n_points, 3)
    std::ptrdiff_t first, last;          // points to do
    double* values;                      // (n_points,)
    double* gradients;                   // (n_points, 3) or null
};

struct VectorKernels {
    const char* name;
    int lanes;
    // Solid harmonics up to l_max of `lanes` vectors; out[(l² + l + m) lanes + lane].
    void (*solid_harmonics)(int l_max, const double* x, const double* y, const double* z, double* out);
    // The same of (2 l - 1)!! S_lm(R) / R^{2l+1}, for the interaction of multipoles.
    void (*irregular_harmonics)(int l_max, const double* x, const double* y, const double* z,
                                double* out);
    // G_k of one pair of degrees from those harmonics, for k ≥ first_k: out[lane stride + entry].
    void (*couple)(const Coupling& coupling, int first_k, const double* harmonics, double* out,
                   std::ptrdiff_t stride);
    void (*radial_overlap)(const RadialView& pairs, double squared_distance, double* f);
    void (*radial_coulomb)(const RadialView& pairs, double squared_distance, double far_factor,
                           double* f);
    void (*place_overlap)(const BlockView& block);
    void (*place_coulomb)(const BlockView& block);
    void (*transpose)(const double* in, std::ptrdiff_t in_stride, int n_rows, int n_columns,
                      double* out, std::ptrdiff_t out_stride);
    // Copy past the caches, or zeros if `in` is null.
    void (*stream_rows)(const double* in, std::ptrdiff_t in_stride, int n_rows, int n_columns,
                        double* out, std::ptrdiff_t out_stride);
    void (*spread_multipoles)(const InteractionView& view);
    void (*write_distant)(const DistantRows& rows);
    void (*distant_row)(const DistantRow& row);
    void (*collect_expansion)(const GroupAtoms& atoms);
    void (*spread_expansion)(const GroupAtoms& atoms);
    void (*exchange_expansions)(const GroupPairs& pairs);
    void (*form)(const FormChunk& chunk);
    void (*density)(const PointsJob& job);
    void (*potential)(const PointsJob& job);
};

// Length of a row of n columns in the scratch of a block.
constexpr int block_row_size(int n_columns) { return n_columns + 2 * kMaxLanes; }

std::size_t block_scratch_size(int l_a, int l_b, int n_a, int n_b);
std::size_t form_scratch_size(int n_functions_a, int n_functions_b, int n_primitives_a,
                              int n_primitives_b);

// The kernels in use: those of the widest instruction set that this processor has, unless
// use_kernels chose others (to test them, or to compare their speed). Not for a call in progress.
const VectorKernels& vector_kernels();
const std::vector<const VectorKernels*>& available_kernels();
void use_kernels(const std::string& name);

}  // namespace densnet
