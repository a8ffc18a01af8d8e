// Small matrices in double, for products of a model's weights.
#pragma once

#include <cstddef>
#include <vector>

namespace densnet {
namespace engine {

struct Dense {
    int rows = 0, columns = 0;
    std::vector<double> values;  // row-major

    Dense() = default;
    Dense(int rows, int columns)
        : rows(rows), columns(columns), values(static_cast<std::size_t>(rows) * columns) {}

    double& operator()(int r, int c) { return values[static_cast<std::size_t>(r) * columns + c]; }
    double operator()(int r, int c) const { return values[static_cast<std::size_t>(r) * columns + c]; }

    // Rows first … first + n − 1 and columns from `column` on, m of them.
    Dense block(int first, int n, int column, int m) const {
        Dense result(n, m);
        for (int r = 0; r < n; ++r) {
            for (int c = 0; c < m; ++c) result(r, c) = (*this)(first + r, column + c);
        }
        return result;
    }
    Dense row_block(int first, int n) const { return block(first, n, 0, columns); }
};

// Matrix i of an array of equal ones.
inline Dense matrix_of(const std::vector<double>& array, int i, int rows, int columns) {
    Dense result(rows, columns);
    const std::size_t size = result.values.size();
    for (std::size_t k = 0; k < size; ++k) result.values[k] = array[i * size + k];
    return result;
}

inline Dense operator*(const Dense& a, const Dense& b) {
    Dense result(a.rows, b.columns);
    for (int r = 0; r < a.rows; ++r) {
        for (int k = 0; k < a.columns; ++k) {
            for (int c = 0; c < b.columns; ++c) result(r, c) += a(r, k) * b(k, c);
        }
    }
    return result;
}

inline Dense operator+(const Dense& a, const Dense& b) {
    Dense result = a;
    for (std::size_t k = 0; k < b.values.size(); ++k) result.values[k] += b.values[k];
    return result;
}

}  // namespace engine
}  // namespace densnet
