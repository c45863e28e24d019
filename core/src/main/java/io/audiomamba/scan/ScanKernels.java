package io.audiomamba.scan;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.torch.Workers;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Device;

/** The kernels there are, and which one is used. */
public final class ScanKernels {

    /** Forces a kernel by its name. */
    public static final String PROPERTY = "audiomamba.scan";

    /** Those that this JVM can run, the fastest first. */
    private static final List<ScanKernel> AVAILABLE = available();

    private ScanKernels() {}

    private static List<ScanKernel> available() {
        List<ScanKernel> kernels = new ArrayList<>();
        kernels.add(new CudaScan());
        if (Workers.hasVectorApi()) {
            kernels.add(new VectorScan());
        }
        kernels.add(new TorchScan());
        return kernels;
    }

    /** The names of the kernels that can run on {@code device} here, the fastest first. */
    public static List<String> names(Device device) {
        return AVAILABLE.stream().filter(kernel -> kernel.supports(device)).map(ScanKernel::name).toList();
    }

    /**
     * The kernel for tensors of {@code device}: the fastest, unless {@value #PROPERTY} names another.
     *
     * @throws ConfigurationException if that one does not run here
     */
    public static ScanKernel best(Device device) {
        String forced = System.getProperty(PROPERTY);
        return forced == null || forced.isBlank() ? named(names(device).getFirst(), device) : named(forced, device);
    }

    /**
     * The kernel called {@code name}.
     *
     * @throws ConfigurationException if it does not run on {@code device} here
     */
    public static ScanKernel named(String name, Device device) {
        return AVAILABLE.stream().filter(kernel -> kernel.name().equals(name) && kernel.supports(device)).findFirst()
                .orElseThrow(() -> new ConfigurationException("The scan kernel '" + name
                        + "' does not run here; there are " + String.join(", ", names(device)) + "."));
    }
}
