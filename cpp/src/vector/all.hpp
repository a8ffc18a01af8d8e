// Everything that is compiled once per instruction set, and the table of it.
#pragma once

#include "densnet/vector_kernels.hpp"

#include "distant.hpp"
#include "expansions.hpp"
#include "form.hpp"
#include "harmonics.hpp"
#include "place.hpp"
#include "points.hpp"
#include "radial.hpp"

namespace densnet {
namespace DENSNET_NAMESPACE {

static const VectorKernels kernels = {
    DENSNET_NAME,
    W,
    solid_harmonics,
    irregular_harmonics,
    couple,
    radial_overlap,
    radial_coulomb,
    place<false>,
    place<true>,
    transpose_block,
    stream_rows,
    spread_multipoles,
    write_distant,
    distant_row,
    collect_expansion,
    spread_expansion,
    exchange_expansions,
    form,
    density,
    potential,
};

}  // namespace DENSNET_NAMESPACE
}  // namespace densnet
