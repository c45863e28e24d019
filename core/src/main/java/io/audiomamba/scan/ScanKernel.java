package io.audiomamba.scan;

import io.audiomamba.error.ConfigurationException;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;

/**
 * One implementation of the operation that {@link SelectiveScan2d} defines. Kernels hold no state of a call and may
 * be used by several threads at once.
 */
public interface ScanKernel {

    /** The name by which {@code -Daudiomamba.scan=} and {@code doctor} know this kernel. */
    String name();

    /** Whether this kernel can run on tensors of {@code device} here. */
    boolean supports(Device device);

    /**
     * What a forward pass gives.
     *
     * @param merged y, (B, H, W, D), contiguous, in the type of the tokens
     * @param kept   what this kernel's backward pass wants to find again; null if nothing
     */
    record Result(Tensor merged, Tensor kept) {}

    /**
     * Records no graph.
     *
     * @param inputs       on one device; of any floating type, and strided in any way
     * @param withBackward whether {@link #backward} will follow
     * @throws ConfigurationException if they are more images, or have more states or a higher rank, than this kernel takes
     */
    Result forward(ScanInputs inputs, boolean withBackward);

    /**
     * The gradients of all operands, contiguous, each in its operand's type.
     *
     * @param inputs     what {@link #forward} was given
     * @param kept       what it kept
     * @param gradMerged dL/dy, (B, H, W, D), strided in any way
     */
    ScanInputs backward(ScanInputs inputs, Tensor kept, Tensor gradMerged);
}
