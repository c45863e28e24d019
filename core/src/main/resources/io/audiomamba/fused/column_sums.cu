// Sums of the columns of a matrix: io.audiomamba.fused.ColumnSums launches this kernel, compiled with TYPE and what
// column_sums.cuh wants defined.

#include "column_sums.cuh"

typedef Type<TYPE>::of value;

extern "C" __global__ void sums(const value* x, float* to, int rows) {
    Columns columns;
    columns.forEachRow(rows, [&](long long at) {
        float part[V];
        load<V>(x + at, part);
        columns.add(part);
    });
    columns.write(to);
}
