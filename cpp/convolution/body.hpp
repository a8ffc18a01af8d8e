// The loops, compiled once for every instruction set: channels are the vector dimension.
// Included inside the namespace of each set, after <type_traits>; no include guard on purpose.

// Channels that are worked on together; their sums over l stay in registers.
constexpr int kLanes = 16;

// The R of one edge for `n` channels; Full promises n = kLanes, so that all loops have fixed length.
template <int L, bool Full, typename Real>
inline void load_radial(const EdgeSizes& s, const Real* radial, int n, Real (&r)[L][kLanes]) {
    const int width = Full ? kLanes : n;
    for (int l = 0; l < L; ++l)
        for (int c = 0; c < width; ++c) r[l][c] = radial[l * s.n_channels + c];
}

template <int L, bool Full, typename Real>
inline void add_edge(const EdgeSizes& s, const Real* __restrict radial,
                     const Real* __restrict polynomials, const Real* __restrict in,
                     Real* __restrict out, int n) {
    const std::int64_t next_point = s.n_nodes * s.n_channels;
    const int width = Full ? kLanes : n;
    Real r[L][kLanes] = {};
    load_radial<L, Full>(s, radial, n, r);
    for (std::int64_t k = 0; k < s.n_points; ++k) {
        for (int c = 0; c < width; ++c) {
            Real f = polynomials[k] * r[0][c];
            for (int l = 1; l < L; ++l) f += polynomials[l * s.n_points + k] * r[l][c];
            out[k * next_point + c] += f * in[k * next_point + c];
        }
    }
}

template <int L, bool Full, typename Real>
inline void contract_points(const EdgeSizes& s, const Real* __restrict polynomials,
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

// Not inlined: GCC makes of it loops of half the speed where it is.
template <int L, bool Full, typename Real>
__attribute__((noinline)) void contract_channels(const EdgeSizes& s, const Real* __restrict radial,
                              const Real* __restrict g, const Real* __restrict h,
                              Real* __restrict out, int n) {
    const std::int64_t next_point = s.n_nodes * s.n_channels;
    const int width = Full ? kLanes : n;
    Real r[L][kLanes] = {};
    load_radial<L, Full>(s, radial, n, r);
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

// Calls work(first channel, how many, whether these fill the lanes) for all channels of an edge.
template <typename Work>
inline void for_channels(const EdgeSizes& s, Work&& work) {
    std::int64_t c = 0;
    for (; c + kLanes <= s.n_channels; c += kLanes) work(c, kLanes, std::true_type());
    if (c < s.n_channels) work(c, static_cast<int>(s.n_channels - c), std::false_type());
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
        for_channels(s, [&](std::int64_t c, int n, auto full) {
            add_edge<L, decltype(full)::value>(s, r + c, p, in + c, out + c, n);
        });
    }
}

template <int L, typename Real>
void by_radial_of_degree(const EdgeSizes& s, const Real* polynomials, const Real* at_receivers,
                         const Real* at_senders, const std::int64_t* receivers,
                         const std::int64_t* senders, Real* result) {
    for (std::int64_t e = 0; e < s.n_edges; ++e) {
        const Real* p = polynomials + e * L * s.n_points;
        const Real* g = at_receivers + receivers[e] * s.n_channels;
        const Real* h = at_senders + senders[e] * s.n_channels;
        Real* out = result + e * L * s.n_channels;
        for_channels(s, [&](std::int64_t c, int n, auto full) {
            contract_points<L, decltype(full)::value>(s, p, g + c, h + c, out + c, n);
        });
    }
}

template <int L, typename Real>
void by_polynomials_of_degree(const EdgeSizes& s, const Real* radial, const Real* at_receivers,
                              const Real* at_senders, const std::int64_t* receivers,
                              const std::int64_t* senders, Real* result) {
    // A loop: a template of the standard library, instantiated here, would be shared with code for
    // other processors.
    for (std::int64_t k = 0; k < s.n_edges * L * s.n_points; ++k) result[k] = 0;
    for (std::int64_t e = 0; e < s.n_edges; ++e) {
        const Real* r = radial + e * L * s.n_channels;
        const Real* g = at_receivers + receivers[e] * s.n_channels;
        const Real* h = at_senders + senders[e] * s.n_channels;
        Real* out = result + e * L * s.n_points;
        for_channels(s, [&](std::int64_t c, int n, auto full) {
            contract_channels<L, decltype(full)::value>(s, r + c, g + c, h + c, out, n);
        });
    }
}

// The loops over l have fixed length, so each number of degrees has its own.
#define DENSNET_OF_DEGREE(function, ...)                            \
    switch (s.n_l) {                                                \
        case 1: return function<1>(__VA_ARGS__);                    \
        case 2: return function<2>(__VA_ARGS__);                    \
        case 3: return function<3>(__VA_ARGS__);                    \
        case 4: return function<4>(__VA_ARGS__);                    \
        case 5: return function<5>(__VA_ARGS__);                    \
        default: return function<kMaxFilterDegrees>(__VA_ARGS__);   \
    }

template <typename Real>
void sum(const EdgeSizes& s, const Real* radial, const Real* polynomials, const Real* values,
         const std::int64_t* from, const std::int64_t* to, Real* result) {
    DENSNET_OF_DEGREE(sum_of_degree, s, radial, polynomials, values, from, to, result)
}

template <typename Real>
void by_radial(const EdgeSizes& s, const Real* polynomials, const Real* g, const Real* h,
               const std::int64_t* i, const std::int64_t* j, Real* result) {
    DENSNET_OF_DEGREE(by_radial_of_degree, s, polynomials, g, h, i, j, result)
}

template <typename Real>
void by_polynomials(const EdgeSizes& s, const Real* radial, const Real* g, const Real* h,
                    const std::int64_t* i, const std::int64_t* j, Real* result) {
    DENSNET_OF_DEGREE(by_polynomials_of_degree, s, radial, g, h, i, j, result)
}

#undef DENSNET_OF_DEGREE
