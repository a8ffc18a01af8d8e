// Everything that is compiled once per instruction set.
#pragma once

#include "edges.hpp"
#include "harmonics.hpp"
#include "linear.hpp"
#include "product.hpp"

#define DENSNET_ENGINE_KERNELS(NAME, SPACE, T)                                                       \
    {                                                                                                \
        NAME, SPACE::linear<T>, SPACE::slots<T>, SPACE::harmonics_forward<T>,                        \
            SPACE::harmonics_backward<T>, SPACE::product<T, false>, SPACE::product<T, true>,         \
            SPACE::to_pairs<T>, SPACE::to_pairs_backward<T>, SPACE::sums_forward<T>,                 \
            SPACE::sums_backward<T>, SPACE::convolution_forward<T>, SPACE::convolution_backward<T>   \
    }
