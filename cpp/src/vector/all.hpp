// Everything that is compiled once per instruction set.
#pragma once

#include "form.hpp"
#include "harmonics.hpp"
#include "place.hpp"
#include "points.hpp"
#include "radial.hpp"
