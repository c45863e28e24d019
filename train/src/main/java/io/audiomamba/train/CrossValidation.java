package io.audiomamba.train;

import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.ParseProblem;
import io.audiomamba.evaluation.Calibration;
import io.audiomamba.evaluation.Evaluator;
import io.audiomamba.evaluation.Metrics;
import io.audiomamba.evaluation.Predictions;
import io.audiomamba.file.WholeFile;
import io.audiomamba.torch.DeviceStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.ObjectMapper;

/**
 * Trains on all folds but one and predicts that one, for every fold and several seeds. Each run's predictions are a file
 * of the output folder; a run whose file is there is not repeated, so several processes may share the work, and an
 * interrupted call goes on. What the runs are made of is in {@code origin.json}: runs of anything else do not come into
 * the same folder, nor are they taken for this cross-validation's.
 */
public final class CrossValidation {

    /** Cyclic shifts of a window that the second set of predictions averages. */
    public static final int SHIFTS = 10;

    /** So many a call may ask for. */
    public static final int MOST_SEEDS = 1000;

    private static final String ORIGIN = "origin.json";
    private static final String RECIPE = "recipe.yaml";
    private static final ObjectMapper JSON = new ObjectMapper();

    /**
     * One run. Predictions are made once, after the last epoch: nothing is selected on the held-out fold.
     *
     * @param plain   of the clips as they are
     * @param shifted means over {@value #SHIFTS} cyclic shifts
     */
    public record Run(int fold, long seed, Predictions plain, Predictions shifted) {
        public Run {
            Objects.requireNonNull(plain, "plain");
            Objects.requireNonNull(shifted, "shifted");
        }
    }

    /**
     * A figure over the seeds.
     *
     * @param mean      of the seeds' values, each over all folds together
     * @param deviation of those values, with n - 1; null for one seed
     */
    public record Figure(double mean, Double deviation) {

        static Figure of(double... values) {
            double mean = Arrays.stream(values).average().orElseThrow();
            double squares = Arrays.stream(values).map(value -> (value - mean) * (value - mean)).sum();
            return new Figure(mean, values.length < 2 ? null : Math.sqrt(squares / (values.length - 1)));
        }

        /** For example {@code 94.08 % ± 0.63}. */
        public String percent() {
            String percent = String.format(Locale.ROOT, "%.2f %%", 100 * mean);
            return deviation == null ? percent : percent + String.format(Locale.ROOT, " ± %.2f", 100 * deviation);
        }
    }

    /**
     * The outcome.
     *
     * @param runs                  how many there are
     * @param foldAccuracies        by fold
     * @param shiftedFoldAccuracies the same over {@value #SHIFTS} shifts
     * @param foldDeviation         how far the folds' mean accuracies deviate from each other
     * @param ensemble              accuracy of the mean over seeds of the shifted logits
     * @param temperature           that calibrates the plain logits of all runs
     * @param uncalibratedError     expected calibration error without it
     * @param error                 with it; the temperature of each fold is that of the other folds
     */
    public record Summary(int runs, Figure accuracy, Figure shiftedAccuracy, Map<Integer, Figure> foldAccuracies,
            Map<Integer, Figure> shiftedFoldAccuracies, Double foldDeviation, double ensemble,
            Figure meanAveragePrecision, Figure shiftedMeanAveragePrecision, double temperature,
            double uncalibratedError, double error) {

        /** Under which a model's provenance holds the summary of the cross-validation that it was calibrated by, as JSON. */
        public static final String PROVENANCE = "cross-validation";

        public Summary {
            Stream.of(accuracy, shiftedAccuracy, foldAccuracies, shiftedFoldAccuracies, meanAveragePrecision,
                    shiftedMeanAveragePrecision).forEach(Objects::requireNonNull);
        }

        String toJson() {
            return JSON.writeValueAsString(this);
        }

        /** The summary in a model's provenance; none if there is none that can be read. */
        public static Optional<Summary> of(Map<String, String> provenance) {
            try {
                return Optional.ofNullable(provenance.get(PROVENANCE)).map(json -> JSON.readValue(json, Summary.class));
            } catch (JacksonException _) {
                return Optional.empty();
            }
        }
    }

    /** Told how the runs go. */
    public interface Listener {

        /** After each epoch of a run, which goes by its fold and seed. */
        void epoch(String run, Trainer.Epoch epoch);

        /** A clip that could not be decoded, to be trained on or to be predicted: why, in one sentence. */
        void skipped(String run, String reason);
    }

    private final Recipe recipe;
    private final InitialWeights weights;
    private final Dataset dataset;
    private final Path folder;
    private final Activation activation;

    /**
     * A cross-validation in {@code folder}, perhaps begun already.
     *
     * @param recipe  whose seed is that of the first runs; the next ones' follow it
     * @param weights that each run begins with
     * @throws ConfigurationException if the dataset has less than two folds, or the recipe does not fit it
     */
    public CrossValidation(Recipe recipe, InitialWeights weights, Dataset dataset, Path folder) {
        this.recipe = recipe;
        this.weights = weights;
        this.dataset = dataset;
        this.folder = folder;
        this.activation = recipe.loss().kind().activation();
        if (dataset.folds().size() < 2) {
            throw new ConfigurationException(dataset.title() + ": has no folds to cross-validate with.");
        }
        recipe.requireFits(dataset); // before the folder says what its runs are of
    }

    private Path file(int fold, long seed) {
        return folder.resolve("fold" + fold + "-seed" + seed + ".json");
    }

    /**
     * Makes the runs that are missing.
     *
     * @param seeds    how many, up to {@value #MOST_SEEDS}
     * @param part     this call makes the runs whose number, counted from 0, leaves the rest {@code part} when divided by
     *                 {@code parts}
     * @param jobs     how many runs, 1 or more, are made at once, each in a thread of its own; on a CPU one: it uses all
     *                 cores, and beside another its figures would depend on how the two meet, since OpenBLAS has one
     *                 number of threads for both
     * @param listener called by these threads
     * @throws ConfigurationException if the folder holds runs of something else, one is damaged, or there are too many seeds
     */
    public void run(int seeds, int part, int parts, int jobs, Device device, Listener listener) {
        if (seeds > MOST_SEEDS) {
            throw new ConfigurationException("There are " + seeds + " seeds, but there may be at most " + MOST_SEEDS
                    + "; ask for fewer.");
        }
        if (TrainingRun.isIn(folder)) {
            throw new ConfigurationException(folder + ": holds a training; name another folder.");
        }
        WholeFile.createFolder(folder);
        if (!Files.exists(folder.resolve(ORIGIN)) && files().isEmpty()) {
            WholeFile.write(folder.resolve(RECIPE), recipe.toYaml());
            WholeFile.write(folder.resolve(ORIGIN), JSON.writerWithDefaultPrettyPrinter().writeValueAsString(origin()));
        }
        checkOrigin();
        runs(); // what is damaged is better known before the work than after it
        List<Integer> folds = dataset.folds();
        Queue<Runnable> missing = new ConcurrentLinkedQueue<>();
        for (long i = part; i < (long) folds.size() * seeds; i += parts) {
            int fold = folds.get((int) (i % folds.size()));
            long seed = recipe.train().seed() + i / folds.size();
            if (!Files.exists(file(fold, seed))) {
                missing.add(() -> write(run(recipe.withSeed(seed), fold, device, listener)));
            }
        }
        int workers = device.is_cpu() ? 1 : Math.clamp(missing.size(), 1, jobs);
        try (ExecutorService threads = Executors.newFixedThreadPool(workers)) {
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < workers; i++) {
                all.add(threads.submit(() -> work(missing, device)));
            }
            all.forEach(Futures::result);
        }
    }

    /** Makes runs until none is left or one fails. */
    private static void work(Queue<Runnable> runs, Device device) {
        try (var _ = new DeviceStream(device)) {
            for (Runnable run = runs.poll(); run != null; run = runs.poll()) {
                run.run();
            }
        } catch (RuntimeException | Error e) {
            runs.clear();
            throw e;
        }
    }

    private Run run(Recipe seeded, int fold, Device device, Listener listener) {
        String name = "fold " + fold + " seed " + seeded.train().seed();
        TrainingListener training = new TrainingListener() {
            @Override
            public void step(Step step) {}

            @Override
            public void epoch(Trainer.Epoch epoch, Metrics metrics) {}

            @Override
            public void unreadable(String reason) {
                listener.skipped(name, reason);
            }

            @Override
            public void warning(String sentence) {}
        };
        Dataset held = dataset.fold(fold);
        try (Trainer trainer = trainer(seeded, dataset.withoutFold(fold), device)) {
            while (trainer.finishedEpochs() < recipe.train().epochs()) {
                listener.epoch(name, trainer.epoch(training, () -> false, () -> {}).orElseThrow());
            }
            Evaluator.Outcome outcome = trainer.predict(held, SHIFTS, () -> false).orElseThrow();
            outcome.failures().values().forEach(reason -> listener.skipped(name, reason));
            return new Run(fold, seeded.train().seed(), outcome.plain(), outcome.shifted());
        }
    }

    /** Initial weights count what they gave to a model: they serve one after the other. */
    private Trainer trainer(Recipe seeded, Dataset training, Device device) {
        synchronized (weights) {
            return new Trainer(seeded, training, device, weights);
        }
    }

    private void write(Run run) {
        WholeFile.write(file(run.fold(), run.seed()), JSON.writeValueAsString(run));
    }

    /** What all runs have in common besides the recipe. */
    private Map<String, String> origin() {
        Map<String, String> origin = new LinkedHashMap<>();
        origin.put("data", dataset.fingerprint());
        origin.put("weights", weights.fingerprint());
        return origin;
    }

    private void checkOrigin() {
        Path file = folder.resolve(ORIGIN);
        if (!Files.exists(file) || !Files.exists(folder.resolve(RECIPE))) {
            throw new ConfigurationException(folder + ": holds runs, but not both " + ORIGIN + " and " + RECIPE
                    + ", which say what they are of; name another folder.");
        }
        Map<?, ?> found = read(file, Map.class, "name another folder");
        origin().forEach((key, value) -> requireSame(key, value.equals(found.get(key))));
        requireSame("recipe", Recipe.of(folder.resolve(RECIPE).toString(), Map.of()).trainsLike(recipe));
    }

    private void requireSame(String what, boolean same) {
        if (!same) {
            throw new ConfigurationException(
                    folder + ": holds runs of something else: their " + what
                            + " is not this call's; name another folder.");
        }
    }

    private List<Path> files() {
        if (!Files.isDirectory(folder)) {
            throw new ConfigurationException(folder + ": there is no such folder.");
        }
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(file -> file.getFileName().toString().matches("fold.*-seed.*\\.json")).sorted()
                    .toList();
        } catch (IOException e) {
            throw new ConfigurationException(folder + ": cannot be read (" + e.getMessage() + ").", e);
        }
    }

    /**
     * Reads the runs that there are.
     *
     * @throws ConfigurationException if they are of something else, or one is damaged
     */
    public List<Run> runs() {
        List<Path> files = files();
        if (!files.isEmpty()) {
            checkOrigin();
        }
        return files.stream().map(this::run).toList();
    }

    private Run run(Path file) {
        String advice = "delete it, and the run will be made again";
        Run run = read(file, Run.class, advice);
        if (!file.equals(file(run.fold(), run.seed()))) {
            throw new ConfigurationException(file + ": holds the run of another fold or seed; " + advice + ".");
        }
        if (!Stream.of(run.plain(), run.shifted()).allMatch(predictions -> isOf(run.fold(), predictions))) {
            throw new ConfigurationException(file + ": holds predictions of other classes than the dataset's, or of "
                    + "other clips than the fold's; " + advice + ".");
        }
        return run;
    }

    /** Whether these are of the dataset's classes and of the fold's clips: not all, if some could not be decoded. */
    private boolean isOf(int fold, Predictions predictions) {
        int classes = dataset.labels().size();
        Set<String> unmet = dataset.clips().stream().filter(clip -> clip.fold() == fold).map(Clip::name)
                .collect(Collectors.toCollection(HashSet::new));
        return predictions.logits()[0].length == classes && predictions.targets()[0].length == classes
                && predictions.clips().stream().allMatch(unmet::remove);
    }

    /** Whether {@code folder} holds the runs of a cross-validation. */
    static boolean isIn(Path folder) {
        return Files.exists(folder.resolve(ORIGIN));
    }

    private static <T> T read(Path file, Class<T> type, String advice) {
        try {
            return ParseProblem.required(JSON.readValue(file.toFile(), type));
        } catch (JacksonException e) {
            throw new ConfigurationException(
                    file + ": is damaged; " + advice + " (" + ParseProblem.of(e) + ").", e);
        }
    }

    /**
     * The outcome of the seeds for which all folds are there.
     *
     * @throws ConfigurationException if there is none
     */
    public Summary summary() {
        Map<Long, List<Run>> bySeed = new TreeMap<>();
        runs().forEach(run -> bySeed.computeIfAbsent(run.seed(), _ -> new ArrayList<>()).add(run));
        bySeed.values().removeIf(runs -> runs.size() < dataset.folds().size());
        if (bySeed.isEmpty()) {
            throw new ConfigurationException(folder + ": there is no seed whose folds are all done.");
        }
        List<Run> all = bySeed.values().stream().flatMap(List::stream).toList();
        List<Predictions> plain = bySeed.values().stream().map(runs -> join(runs, Run::plain)).toList();
        List<Predictions> shifted = bySeed.values().stream().map(runs -> join(runs, Run::shifted)).toList();
        Map<Integer, Figure> folds = foldAccuracies(all, Run::plain);
        Predictions everything = join(all, Run::plain);
        return new Summary(all.size(), figure(plain, Metrics::accuracy), figure(shifted, Metrics::accuracy),
                folds, foldAccuracies(all, Run::shifted),
                Figure.of(folds.values().stream().mapToDouble(Figure::mean).toArray()).deviation(),
                mean(shifted).metrics(activation).accuracy(), figure(plain, Metrics::meanAveragePrecision),
                figure(shifted, Metrics::meanAveragePrecision), Calibration.temperature(everything, activation),
                Calibration.error(everything, activation, 1), heldOutError(all));
    }

    private Figure figure(List<Predictions> seeds, ToDoubleFunction<Metrics> measure) {
        return Figure.of(seeds.stream().mapToDouble(seed -> measure.applyAsDouble(seed.metrics(activation))).toArray());
    }

    private Map<Integer, Figure> foldAccuracies(List<Run> runs, Function<Run, Predictions> predictions) {
        Map<Integer, Figure> folds = new TreeMap<>();
        for (int fold : dataset.folds()) {
            folds.put(fold, figure(runs.stream().filter(run -> run.fold() == fold).map(predictions).toList(),
                    Metrics::accuracy));
        }
        return folds;
    }

    /** The calibration error where each fold is divided by the temperature that fits the others. */
    private double heldOutError(List<Run> runs) {
        double sum = 0;
        int clips = 0;
        for (int fold : dataset.folds()) {
            Predictions others = join(runs.stream().filter(run -> run.fold() != fold).toList(), Run::plain);
            Predictions own = join(runs.stream().filter(run -> run.fold() == fold).toList(), Run::plain);
            sum += Calibration.error(own, activation, Calibration.temperature(others, activation))
                    * own.logits().length;
            clips += own.logits().length;
        }
        return sum / clips;
    }

    /** The predictions of all runs, one after the other. */
    private static Predictions join(List<Run> runs, Function<Run, Predictions> predictions) {
        List<Predictions> parts = runs.stream().map(predictions).toList();
        return new Predictions(parts.stream().flatMap(part -> part.clips().stream()).toList(),
                parts.stream().flatMap(part -> Arrays.stream(part.logits())).toArray(float[][]::new),
                parts.stream().flatMap(part -> Arrays.stream(part.targets())).toArray(boolean[][]::new));
    }

    /** The mean of the logits that several models gave for each clip, whatever their order. */
    private Predictions mean(List<Predictions> models) {
        Map<String, float[]> sums = new HashMap<>();
        for (Predictions model : models) {
            for (int i = 0; i < model.logits().length; i++) {
                float[] sum = sums.computeIfAbsent(model.clips().get(i), _ -> new float[dataset.labels().size()]);
                for (int c = 0; c < sum.length; c++) {
                    sum[c] += model.logits()[i][c] / models.size();
                }
            }
        }
        // Clips that could not be decoded are not there.
        Dataset heard = dataset.where(clip -> sums.containsKey(clip.name()));
        return Predictions.of(heard, heard.clips().stream().map(clip -> sums.get(clip.name())).toArray(float[][]::new));
    }
}
