package io.audiomamba.scan;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * The orders in which VMamba reads a grid of tokens, as explicit copies: what the fused kernels never write, here for
 * the oracle. Only {@link #CROSS} is used by published models.
 */
public enum CrossScan {
    /** By rows, by columns, by rows backwards, by columns backwards. */
    CROSS(order(false, false), order(true, false), order(false, true), order(true, true)),
    /** Four times by rows. */
    UNIDIRECTIONAL(order(false, false), order(false, false), order(false, false), order(false, false)),
    /** Twice by rows, twice by rows backwards. */
    BIDIRECTIONAL(order(false, false), order(false, false), order(false, true), order(false, true));

    private record Order(boolean columns, boolean backwards) {}

    private final List<Order> orders;

    CrossScan(Order... orders) {
        this.orders = List.of(orders);
    }

    private static Order order(boolean columns, boolean backwards) {
        return new Order(columns, backwards);
    }

    /**
     * @param grid (B, H, W, D)
     * @return the tokens in each order, (B, 4, H W, D)
     */
    public Tensor scan(Tensor grid) {
        Tensor[] sequences = new Tensor[orders.size()];
        Arrays.setAll(sequences, k -> sequence(grid, k));
        return torch.stack(new TensorVector(sequences), 1);
    }

    /**
     * @param grid (B, H, W, D)
     * @return the tokens in order {@code direction}, (B, H W, D)
     */
    public Tensor sequence(Tensor grid, int direction) {
        Order order = orders.get(direction);
        Tensor sequence = (order.columns() ? grid.transpose(1, 2) : grid).flatten(1, 2);
        return order.backwards() ? sequence.flip(1) : sequence;
    }

    /**
     * The inverse of {@link #sequence}.
     *
     * @param sequence (B, H W, D)
     * @return (B, H, W, D)
     */
    public Tensor grid(Tensor sequence, int direction, long height, long width) {
        Order order = orders.get(direction);
        Tensor forwards = order.backwards() ? sequence.flip(1) : sequence;
        return order.columns()
                ? forwards.unflatten(1, width, height).transpose(1, 2)
                : forwards.unflatten(1, height, width);
    }

    /**
     * The sum over the orders at each token: the adjoint of {@link #scan}.
     *
     * @param sequences (B, 4, H W, D)
     * @return (B, H, W, D)
     */
    public Tensor merge(Tensor sequences, long height, long width) {
        Tensor sum = grid(sequences.select(1, 0), 0, height, width);
        for (int k = 1; k < orders.size(); k++) {
            sum = sum.add(grid(sequences.select(1, k), k, height, width));
        }
        return sum;
    }
}
