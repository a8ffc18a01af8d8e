// The loops, compiled once for every instruction set: channels are the vector dimension.
// Included inside the namespace of each set, after <algorithm>; no include guard on purpose.

// Channels that are worked on together; their sums over l stay in registers.
constexpr int kLanes = 16;

// One edge, `n` channels from c0 on; Full promises n = kLanes, so that all loops have fixed length.
template <int L, bool Full, typename Real>
inline void add_edge(const EdgeSizes& s, const Real* __restrict radial,
                     const Real* __restrict polynomials, const Real* __restrict in,
                     Real* __restrict out, int n) {
    const std::int64_t next_point = s.n_nodes * s.n_channels;
    const int width = Full ? kLanes : n;
    Real r[L][kLanes] = {};
    for (int l = 0; l < L; ++l)
        for (int c = 0; c < width; ++c) r[l][c] = radial[l * s.n_channels + c];
    for (std::int64_t k = 0; k < s.n_points; ++k) {
        for (int c = 0; c < width; ++c) {
            Real f = polynomials[k] * r[0][c];
            for (int l = 1; l < L; ++l) f += polynomials[l * s.n_points + k] * r[l][c];
            out[k * next_point + c] += f * in[k * next_point + c];
        }
    }
}

template <int L, bool Full, typename Real>
inline void contract_radial(const EdgeSizes& s, const Real* __restrict polynomials,
                            const Real* __restrict g, const Real* __restrict h,
                            Real* __restrict out, int n) {
    const std::int64_t next_point = s.n_nodes * s.n_channels;
    const int width = Full ? kLanes : n;
    Real total[L][kLanes] = {};
    for (std::int64_t k = 0; k < s.n_points; ++k)
        for (int c = 0; c < width; ++c) {
            const Real gh = g[k * next_point + c] * h[k * next_point + c];
            for (int l = 0; l < L; ++l) total[l][c] += polynomials[l * s.n_points + k] * gh;
        }
    for (int l = 0; l < L; ++l)
        for (int c = 0; c < width; ++c) out[l * s.n_channels + c] = total[l][c];
}

template <int L, bool Full, typename Real>
inline void contract_polynomials(const EdgeSizes& s, const Real* __restrict radial,
                                 const Real* __restrict g, const Real* __restrict h,
                                 Real* __restrict out, int n) {
    const std::int64_t next_point = s.n_nodes * s.n_channels;
    const int width = Full ? kLanes : n;
    Real r[L][kLanes] = {};
    for (int l = 0; l < L; ++l)
        for (int c = 0; c < width; ++c) r[l][c] = radial[l * s.n_channels + c];
    for (std::int64_t k = 0; k < s.n_points; ++k) {
        Real gh[kLanes] = {};
        for (int c = 0; c < width; ++c) gh[c] = g[k * next_point + c] * h[k * next_point + c];
        for (int l = 0; l < L; ++l) {
            Real sum[kLanes];
            for (int c = 0; c < kLanes; ++c) sum[c] = r[l][c] * gh[c];
            for (int c = 0; c < 8; ++c) sum[c] += sum[c + 8];
            for (int c = 0; c < 4; ++c) sum[c] += sum[c + 4];
            out[l * s.n_points + k] += (sum[0] + sum[2]) + (sum[1] + sum[3]);
        }
    }
}

template <int L, typename Real>
void sum_of_degree(const EdgeSizes& s, const Real* radial, const Real* polynomials,
                   const Real* values, const std::int64_t* from, const std::int64_t* to,
                   Real* result) {
    for (std::int64_t e = 0; e < s.n_edges; ++e) {
        const Real* r = radial + e * L * s.n_channels;
        const Real* p = polynomials + e * L * s.n_points;
        const Real* in = values + from[e] * s.n_channels;
        Real* out = result + to[e] * s.n_channels;
        std::int64_t c = 0;
        for (; c + kLanes <= s.n_channels; c += kLanes)
            add_edge<L, true>(s, r + c, p, in + c, out + c, kLanes);
        if (c < s.n_channels)
            add_edge<L, false>(s, r + c, p, in + c, out + c, static_cast<int>(s.n_channels - c));
    }
}

template <int L, typename Real>
void edges_of_degree(const EdgeSizes& s, const Real* radial, const Real* polynomials,
                     const Real* at_receivers, const Real* at_senders,
                     const std::int64_t* receivers, const std::int64_t* senders, Real* radial_out,
                     Real* polynomials_out) {
    for (std::int64_t e = 0; e < s.n_edges; ++e) {
        const Real* g = at_receivers + receivers[e] * s.n_channels;
        const Real* h = at_senders + senders[e] * s.n_channels;
        const std::int64_t row = e * L * s.n_channels;
        const std::int64_t points = e * L * s.n_points;
        if (polynomials_out != nullptr)
            std::fill(polynomials_out + points, polynomials_out + points + L * s.n_points, Real(0));
        for (std::int64_t c = 0; c < s.n_channels; c += kLanes) {
            const int n = static_cast<int>(std::min<std::int64_t>(kLanes, s.n_channels - c));
            if (radial_out != nullptr) {
                const Real* p = polynomials + points;
                Real* out = radial_out + row + c;
                if (n == kLanes)
                    contract_radial<L, true>(s, p, g + c, h + c, out, n);
                else
                    contract_radial<L, false>(s, p, g + c, h + c, out, n);
            }
            if (polynomials_out != nullptr) {
                const Real* r = radial + row + c;
                Real* out = polynomials_out + points;
                if (n == kLanes)
                    contract_polynomials<L, true>(s, r, g + c, h + c, out, n);
                else
                    contract_polynomials<L, false>(s, r, g + c, h + c, out, n);
            }
        }
    }
}

template <typename Real>
void sum(const EdgeSizes& s, const Real* radial, const Real* polynomials, const Real* values,
         const std::int64_t* from, const std::int64_t* to, Real* result) {
    switch (s.n_l) {
        case 1: return sum_of_degree<1>(s, radial, polynomials, values, from, to, result);
        case 2: return sum_of_degree<2>(s, radial, polynomials, values, from, to, result);
        case 3: return sum_of_degree<3>(s, radial, polynomials, values, from, to, result);
        case 4: return sum_of_degree<4>(s, radial, polynomials, values, from, to, result);
        case 5: return sum_of_degree<5>(s, radial, polynomials, values, from, to, result);
        default: return sum_of_degree<6>(s, radial, polynomials, values, from, to, result);
    }
}

template <typename Real>
void edges(const EdgeSizes& s, const Real* radial, const Real* polynomials, const Real* g,
           const Real* h, const std::int64_t* i, const std::int64_t* j, Real* r_out, Real* p_out) {
    switch (s.n_l) {
        case 1: return edges_of_degree<1>(s, radial, polynomials, g, h, i, j, r_out, p_out);
        case 2: return edges_of_degree<2>(s, radial, polynomials, g, h, i, j, r_out, p_out);
        case 3: return edges_of_degree<3>(s, radial, polynomials, g, h, i, j, r_out, p_out);
        case 4: return edges_of_degree<4>(s, radial, polynomials, g, h, i, j, r_out, p_out);
        case 5: return edges_of_degree<5>(s, radial, polynomials, g, h, i, j, r_out, p_out);
        default: return edges_of_degree<6>(s, radial, polynomials, g, h, i, j, r_out, p_out);
    }
}
