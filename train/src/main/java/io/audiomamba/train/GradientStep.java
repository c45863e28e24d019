package io.audiomamba.train;

import io.audiomamba.model.ModelConfig;
import io.audiomamba.torch.CudaGraph;
import io.audiomamba.torch.DeviceStream;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * Loss and gradients of one batch after the other: forward and backward pass. In a {@link DeviceStream} on a GPU they
 * are recorded once and then repeated, because a small model's operations are done sooner than the CPU starts them; not
 * where memory stays so short that no recording lasts.
 */
final class GradientStep implements AutoCloseable {

    /** Steps before the recording, in which libraries choose their kernels and LibTorch takes memory. */
    private static final int WARM_UP = 3;
    /** Recordings in a row that no other step repeats. Groups of two sizes make two, a lack of memory any number. */
    private static final int MOST_FRUITLESS = 4;

    private final Objective objective;
    private final Device device;
    private final int batchSize;
    private boolean recordable;
    private int steps;
    private int fruitless;
    private Recording recording;

    /** @param batchSize of the batches that are worth recording */
    GradientStep(Objective objective, ModelConfig config, int batchSize, Device device) {
        this.objective = objective;
        this.batchSize = batchSize;
        this.device = device;
        // Dropout draws random numbers in between.
        recordable = config.ssmDropout() == 0 && config.mlpDropout() == 0;
    }

    /**
     * Adds a share of the gradients to those of the parameters.
     *
     * @param group by how many the gradients are divided
     * @return the mean loss, undivided
     */
    double run(Objective.Examples examples, int group) {
        if (!recordable || examples.images().size(0) != batchSize || !DeviceStream.isOpen(device)
                || steps++ < WARM_UP) {
            return unrecorded(examples, group);
        }
        if (recording != null && recording.serves(group)) {
            fruitless = 0;
            return recording.repeat(examples);
        }
        close();
        recordable = fruitless++ < MOST_FRUITLESS;
        if (!recordable) {
            return unrecorded(examples, group);
        }
        recording = new Recording(examples, group);
        // It does not if memory became short while it was made; the next step then makes another, a few times.
        return recording.serves(group) ? recording.repeat(examples) : unrecorded(examples, group);
    }

    private double unrecorded(Objective.Examples examples, int group) {
        try (var _ = new GradientTape(); var _ = new PointerScope()) {
            return gradients(examples, group).item_float();
        }
    }

    /** The loss. */
    private Tensor gradients(Objective.Examples examples, int group) {
        Tensor loss = objective.loss(examples, (_, _) -> {});
        loss.div(new Scalar((double) group)).backward();
        return loss.detach();
    }

    @Override
    public void close() {
        if (recording != null) {
            recording.close();
            recording = null;
        }
    }

    /** Forward and backward pass over tensors that stay where they are. */
    private final class Recording implements AutoCloseable {

        private final Objective.Examples inputs;
        private final int group;
        private final CudaGraph graph;
        private Tensor loss;

        Recording(Objective.Examples like, int group) {
            this.group = group;
            inputs = new Objective.Examples(like.images().clone(), like.targets().clone(), like.dropPath().clone())
                    .permanent();
            try {
                graph = new CudaGraph(device, () -> {
                    try (var _ = new GradientTape(); var _ = new PointerScope()) {
                        loss = Tensors.permanent(gradients(inputs, group));
                    }
                });
            } catch (RuntimeException | Error e) {
                free();
                throw e;
            }
        }

        boolean serves(int wanted) {
            return group == wanted && graph.isValid();
        }

        double repeat(Objective.Examples examples) {
            try (var _ = new NoGradGuard()) {
                inputs.images().copy_(examples.images());
                inputs.targets().copy_(examples.targets());
                inputs.dropPath().copy_(examples.dropPath());
            }
            graph.launch();
            return loss.item_float();
        }

        @Override
        public void close() {
            graph.close();
            free();
        }

        private void free() {
            inputs.close();
            if (loss != null) {
                loss.releaseReference();
            }
        }
    }
}
