package io.audiomamba.train;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.internal.chartpart.IChart;

/** Charts as a picture, where this machine can draw. */
final class Picture {

    private Picture() {}

    /**
     * All charts, one above the other.
     *
     * @return a PNG; nothing where this machine cannot draw: Java needs fonts, which small systems lack
     */
    static Optional<byte[]> png(Supplier<List<? extends IChart>> charts) {
        System.setProperty("java.awt.headless", "true");
        try {
            List<? extends IChart> drawn = charts.get();
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            BitmapEncoder.saveBitmap(drawn, drawn.size(), 1, out, BitmapFormat.PNG);
            return Optional.of(out.toByteArray());
        } catch (OutOfMemoryError | StackOverflowError e) {
            throw e;
        } catch (IOException | RuntimeException | Error _) {
            // What Java throws without fonts or fontconfig differs from system to system, plain Errors among it.
            return Optional.empty();
        }
    }
}
