package io.audiomamba.train;

import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.data.Dataset;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.torch.Natives;
import java.util.List;
import java.util.Map;

/**
 * How a model is trained. {@code recipes/defaults.yaml} says what every value means; a recipe is a YAML file with those
 * that differ.
 */
public record Recipe(Model model, Train train, Loss loss, Optimizer optimizer, Schedule schedule, Sampling sampling,
        Augment augment) {

    /** The architecture. */
    public record Model(String preset, HeadKind head, double dropPath, List<Integer> attentionAfter) {}

    /** The course of training. */
    public record Train(int epochs, int batchSize, long seed, Precision precision, int workers, double ema,
            int averageLast, int evaluateEvery, int saveEvery) {

        public Train {
            require(epochs >= 1, "train.epochs", epochs, "1 or more");
            require(batchSize >= 1, "train.batch_size", batchSize, "1 or more");
            require(workers >= 1 && workers <= Natives.MOST_THREADS, "train.workers", workers,
                    "1 to " + Natives.MOST_THREADS);
            require(ema >= 0 && ema < 1, "train.ema", ema, "in [0, 1)");
            require(averageLast >= 0, "train.average_last", averageLast, "0 or more");
            require(evaluateEvery >= 1, "train.evaluate_every", evaluateEvery, "1 or more");
            require(saveEvery >= 1, "train.save_every", saveEvery, "1 or more");
        }
    }

    /** What is computed in: FLOAT32, or mixed with BFLOAT16. */
    public enum Precision {
        FLOAT32, BFLOAT16
    }

    /** What is minimised. */
    public record Loss(LossKind kind, double labelSmoothing) {

        public Loss {
            require(labelSmoothing >= 0 && labelSmoothing < 1, "loss.label_smoothing", labelSmoothing, "in [0, 1)");
        }
    }

    /** For one label a clip, or for several. */
    public enum LossKind {
        CROSS_ENTROPY(Activation.SOFTMAX), BINARY_CROSS_ENTROPY(Activation.SIGMOID);

        private final Activation activation;

        LossKind(Activation activation) {
            this.activation = activation;
        }

        /** What makes probabilities of the logits of a model that it trained. */
        public Activation activation() {
            return activation;
        }
    }

    /** AdamW (Loshchilov and Hutter 2019). */
    public record Optimizer(double lr, double weightDecay, double beta1, double beta2, double clipNorm, int accumulate,
            double layerDecay, List<String> frozen) {

        public Optimizer {
            require(lr > 0, "optimizer.lr", lr, "above 0");
            require(weightDecay >= 0, "optimizer.weight_decay", weightDecay, "0 or more");
            require(beta1 >= 0 && beta1 < 1, "optimizer.beta1", beta1, "in [0, 1)");
            require(beta2 >= 0 && beta2 < 1, "optimizer.beta2", beta2, "in [0, 1)");
            require(clipNorm >= 0, "optimizer.clip_norm", clipNorm, "0 or more");
            require(accumulate >= 1, "optimizer.accumulate", accumulate, "1 or more");
            require(layerDecay > 0 && layerDecay <= 1, "optimizer.layer_decay", layerDecay, "in (0, 1]");
        }
    }

    /** The learning rate over time. */
    public record Schedule(ScheduleKind kind, int warmupEpochs, double finalFactor, List<Double> warmupFactors,
            List<Integer> stepEpochs) {

        public Schedule {
            require(warmupEpochs >= 0, "schedule.warmup_epochs", warmupEpochs, "0 or more");
            require(finalFactor >= 0, "schedule.final_factor", finalFactor, "0 or more");
        }
    }

    /** Linear warm-up and a cosine, or a table and halving. */
    public enum ScheduleKind {
        COSINE, STEPS
    }

    /** In which order clips are drawn. */
    public enum Sampling {
        SHUFFLE, BALANCED, WEIGHTED
    }

    /** What is done to clips in training. */
    public record Augment(MixupKind mixupKind, double mixupAlpha, double mixupProbability, double cutmixAlpha,
            double cutmixProbability, int timeMasks, int timeMaskFrames, int frequencyMasks, int frequencyMaskBins,
            double filterDb, double crop, boolean roll, double gainDb, double speed) {

        private static final String ALPHAS = "0, or 0.001 to 1000";

        public Augment {
            require(isAlpha(mixupAlpha), "augment.mixup_alpha", mixupAlpha, ALPHAS);
            require(isShare(mixupProbability), "augment.mixup_probability", mixupProbability, "in [0, 1]");
            require(isAlpha(cutmixAlpha), "augment.cutmix_alpha", cutmixAlpha, ALPHAS);
            require(isShare(cutmixProbability), "augment.cutmix_probability", cutmixProbability, "in [0, 1]");
            require(timeMasks >= 0, "augment.time_masks", timeMasks, "0 or more");
            require(timeMaskFrames >= 0, "augment.time_mask_frames", timeMaskFrames, "0 or more");
            require(frequencyMasks >= 0, "augment.frequency_masks", frequencyMasks, "0 or more");
            require(frequencyMaskBins >= 0, "augment.frequency_mask_bins", frequencyMaskBins, "0 or more");
            require(filterDb >= 0, "augment.filter_db", filterDb, "0 or more");
            require(crop > 0 && crop <= 1, "augment.crop", crop, "in (0, 1]");
            require(gainDb >= 0, "augment.gain_db", gainDb, "0 or more");
            require(speed >= 0 && speed < 1, "augment.speed", speed, "in [0, 1)");
        }
    }

    /** What mixup mixes. */
    public enum MixupKind {
        /** Log-mel spectrograms, and labels with them. */
        SPECTROGRAMS,
        /** Waveforms, and labels with them. */
        WAVEFORMS,
        /** As HTS-AT's code: spectrograms with those of the reversed batch; every clip keeps its own labels. */
        AUTHORS
    }

    /** Beyond, a Beta distribution cannot be told from a coin or from its mean, nor drawn from. */
    private static boolean isAlpha(double value) {
        return value == 0 || value >= 0.001 && value <= 1000;
    }

    private static boolean isShare(double value) {
        return value >= 0 && value <= 1;
    }

    private static void require(boolean fits, String key, Object value, String right) {
        if (!fits) {
            throw new ConfigurationException("The recipe's " + key + " is " + value + " but must be " + right + ".");
        }
    }

    /**
     * A recipe by its name, or from a file, with some values changed.
     *
     * @param settings such as {@code optimizer.lr} to {@code 3e-4}
     * @throws ConfigurationException naming the key that is unknown or whose value makes no sense
     */
    public static Recipe of(String nameOrFile, Map<String, String> settings) {
        return RecipeYaml.read(nameOrFile, settings);
    }

    /**
     * Checks that the loss is for as many labels as the clips have.
     *
     * @throws ConfigurationException if it is not
     */
    void requireFits(Dataset dataset) {
        if (loss.kind() == LossKind.CROSS_ENTROPY && !dataset.isSingleLabel()) {
            throw new ConfigurationException(
                    dataset.title() + ": has clips with several labels, but the recipe's loss is"
                            + " for one; train with --set loss.kind=binary-cross-entropy.");
        }
    }

    /** The names of the recipes of this project. */
    public static List<String> names() {
        return RecipeYaml.NAMES;
    }

    /** This recipe with another seed. */
    public Recipe withSeed(long seed) {
        Train changed = new Train(train.epochs, train.batchSize, seed, train.precision, train.workers, train.ema,
                train.averageLast, train.evaluateEvery, train.saveEvery);
        return new Recipe(model, changed, loss, optimizer, schedule, sampling, augment);
    }

    /**
     * Whether both train the same model but for the seed. Nor do worker threads count, which batches do not depend on, and
     * how often a training is saved and evaluated.
     */
    boolean trainsLike(Recipe other) {
        return essentials().equals(other.essentials());
    }

    private Recipe essentials() {
        Train essential = new Train(train.epochs, train.batchSize, 0, train.precision, 1, train.ema, train.averageLast,
                1,
                1);
        return new Recipe(model, essential, loss, optimizer, schedule, sampling, augment);
    }

    /** Every value, as YAML. */
    public String toYaml() {
        return RecipeYaml.write(this);
    }
}
