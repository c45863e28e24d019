package io.audiomamba.benchmarks;

import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Natives;
import io.audiomamba.train.Recipe;
import io.audiomamba.train.Trainer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * Training on a CPU with the recipe {@code esc50}, epoch by epoch, and the time that reading its clips takes of it:
 * {@code TrainRun DATA THREADS EPOCHS [KEY=VALUE…]}. The first epoch warms up.
 */
public final class TrainRun {

    private static final int SAMPLE_RATE = 32_000;

    private TrainRun() {}

    public static void main(String[] arguments) throws IOException {
        Dataset dataset = Dataset.read(Path.of(arguments[0]));
        Natives.setThreads(Integer.parseInt(arguments[1]));
        int epochs = Integer.parseInt(arguments[2]);
        Map<String, String> settings = new LinkedHashMap<>();
        for (int i = 3; i < arguments.length; i++) {
            int equals = arguments[i].indexOf('=');
            settings.put(arguments[i].substring(0, equals), arguments[i].substring(equals + 1));
        }
        Recipe recipe = Recipe.of("esc50", settings);
        double perClip = 0;
        try (Trainer trainer = new Trainer(recipe, dataset, Devices.cpu())) {
            for (int i = 0; i < epochs; i++) {
                Trainer.Epoch epoch = trainer.epoch();
                perClip = epoch.seconds() / epoch.clips();
                System.out.printf(Locale.ROOT, "epoch %d: %d clips, %.2f clips/s, loss %.3f%n", epoch.number(),
                        epoch.clips(), 1 / perClip, epoch.loss());
            }
        }
        double reading = secondsToRead(dataset);
        System.out.printf(Locale.ROOT, "%s, batch %d: reading %.2f ms a clip, %.2f %% of a step; peak RSS %.2f GB%n",
                recipe.model().preset(), recipe.train().batchSize(), 1e3 * reading, 100 * reading / perClip,
                ProcessMemory.peak() / 1e9);
    }

    /** The mean over all clips, on one thread, after a first pass. */
    private static double secondsToRead(Dataset dataset) {
        long start = 0;
        for (int pass = 0; pass < 2; pass++) {
            start = System.nanoTime();
            for (Clip clip : dataset.clips()) {
                dataset.sounds().read(clip, SAMPLE_RATE);
            }
        }
        return (System.nanoTime() - start) / 1e9 / dataset.clips().size();
    }
}
