package io.audiomamba.train;

import io.audiomamba.data.Dataset;
import io.audiomamba.data.Tones;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** A tiny dataset, and a recipe that trains a tiny model on it within seconds. */
final class TinyTraining {

    private static final int RATE = 8000;

    private TinyTraining() {}

    /** A short tone. */
    static Path tone(Path file, double hertz) {
        try {
            return Tones.wav(file, RATE, Tones.tone(RATE, hertz, 0.2));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Two classes, low and high, of {@code each} clips. */
    static Dataset twoClasses(Path folder, int each) {
        for (int i = 0; i < each; i++) {
            tone(folder.resolve("low").resolve(i + ".wav"), 200 + 20 * i);
            tone(folder.resolve("high").resolve(i + ".wav"), 2000 + 200 * i);
        }
        return Dataset.read(folder);
    }

    /** A recipe for a tiny model, with {@code settings} such as {@code train.epochs=2}. */
    static Recipe recipe(String... settings) {
        Map<String, String> all = new HashMap<>(Map.of("model.preset", "nano_s1_chunky", "train.epochs", "2",
                "train.batch_size", "2", "train.save_every", "1", "train.evaluate_every", "1", "train.seed", "7",
                "optimizer.lr", "1e-3", "schedule.warmup_epochs", "0"));
        for (String setting : settings) {
            all.put(setting.substring(0, setting.indexOf('=')), setting.substring(setting.indexOf('=') + 1));
        }
        return Recipe.of("esc50", all);
    }
}
