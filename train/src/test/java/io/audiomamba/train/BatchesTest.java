package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.checkpoint.Description;
import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.data.Tones;
import io.audiomamba.error.AudioException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.frontend.LogMel;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Tensors;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;

class BatchesTest {

    private static final int CLIPS = 7;
    private static final int BROKEN = 3;
    private static final Batches.Preparation AS_THEY_ARE = (sounds, _, _) -> new Objective.Examples(sounds.inputs(),
            sounds.targets(), sounds.targets());

    private Runnable beforeReading = () -> {};

    private final CountDownLatch readTwice = new CountDownLatch(2 * CLIPS);

    /** Every clip is a class of its own, and its sound says which: a constant. */
    private final Dataset dataset = new Dataset("constants",
            IntStream.range(0, CLIPS).mapToObj(i -> "class " + i).toList(),
            IntStream.range(0, CLIPS).mapToObj(i -> new Clip("clip " + i, Path.of("" + i), List.of(i), 1)).toList(),
            List.of(), new Dataset.Sounds() {
                @Override
                public float[] read(Clip clip, int sampleRate) {
                    readTwice.countDown();
                    beforeReading.run();
                    int number = clip.labels().getFirst();
                    if (number == BROKEN) {
                        throw new AudioException(clip.name() + ": is damaged.");
                    }
                    float[] samples = new float[sampleRate];
                    Arrays.fill(samples, number + 1);
                    return samples;
                }

                @Override
                public int storedRate(Clip clip) {
                    return 32_000;
                }
            });

    @Test
    void soundsAndTargetsStayTogetherWhenAClipCannotBeRead() {
        List<float[]> rows = rows(1, "augment.roll=false");
        assertThat(rows).hasSize(CLIPS - 1);
        assertThat(rows.stream().map(row -> row[0])).doesNotHaveDuplicates().doesNotContain(BROKEN + 1f);
        assertThat(rows).allSatisfy(row -> {
            float[] targets = new float[CLIPS];
            targets[(int) row[0] - 1] = 1;
            assertThat(Arrays.copyOfRange(row, 1, row.length)).isEqualTo(targets);
        });
    }

    @Test
    void saysWhichClipsCannotBeRead() {
        try (Batches batches = batches("train.batch_size=" + CLIPS); Batches.Batch batch = batches.get(0, 0)) {
            assertThat(batch.unreadable()).containsOnlyKeys("clip " + BROKEN);
        }
    }

    /** Who runs the command tells a usage error and a lack of memory from an error of this program. */
    @Test
    void whatAWorkerThrowsIsThrown() {
        beforeReading = () -> {
            throw new ConfigurationException("No.");
        };
        try (Batches batches = batches("train.batch_size=2")) {
            assertThatThrownBy(() -> batches.get(0, 0)).isInstanceOf(ConfigurationException.class);
        }
        beforeReading = () -> {
            throw new OutOfMemoryError();
        };
        try (Batches batches = batches("train.batch_size=2")) {
            assertThatThrownBy(() -> batches.get(0, 0)).isInstanceOf(OutOfMemoryError.class);
        }
    }

    @Test
    void whatABatchHoldsDoesNotFollowFromTheNumberOfWorkers() {
        List<float[]> one = rows(1, "augment.gain_db=6", "augment.speed=0.2");
        List<float[]> many = rows(5, "augment.gain_db=6", "augment.speed=0.2");
        assertThat(many).containsExactlyElementsOf(one);
    }

    @Test
    void aBatchDoesNotFollowFromWhatWasReadBefore() {
        try (Batches batches = batches("train.batch_size=2", "train.epochs=2", "augment.gain_db=6");
                var _ = new PointerScope()) {
            List<float[]> inOrder = new ArrayList<>();
            for (int epoch = 0; epoch < 2; epoch++) {
                for (int number = 0; number < batches.count(); number++) {
                    inOrder.addAll(rows(batches, epoch, number));
                }
            }
            List<float[]> jumping = new ArrayList<>(rows(batches, 1, batches.count() - 1));
            assertThat(inOrder).endsWith(jumping.toArray(float[][]::new));
            List<float[]> first = rows(batches, 0, 0);
            assertThat(inOrder).startsWith(first.toArray(float[][]::new));
        }
    }

    @Test
    void theNextEpochIsOnItsWayBeforeAnyoneAsksForIt() throws InterruptedException {
        try (Batches batches = batches("train.batch_size=" + CLIPS, "train.epochs=2")) {
            batches.get(0, 0).close();
            assertThat(readTwice.await(1, TimeUnit.MINUTES)).isTrue();
        }
    }

    /** As evaluation hears it. */
    @Test
    void aShortClipFillsTheWindow() {
        for (InputKind input : List.of(InputKind.FOLDED_LOG_MEL, InputKind.FILTER_BANK)) {
            FrontEnd frontEnd = FrontEnd.named(Description.trainedFrontEndOf(input), Devices.cpu());
            Dataset tones = Tones.dataset(List.of("low"), 1, 1);
            Recipe recipe = TinyTraining.recipe("augment.roll=false", "augment.gain_db=0", "augment.speed=0.0");
            try (Batches batches = new Batches(tones, recipe, frontEnd, Devices.cpu(), AS_THEY_ARE);
                    Batches.Batch batch = batches.get(0, 0)) {
                float[] sound = tones.sounds().read(tones.clips().getFirst(), frontEnd.sampleRate());
                assertThat(Tensors.toFloats(batch.examples().orElseThrow().images()))
                        .containsExactly(frontEnd.fit(sound), within(1e-6f));
            }
        }
    }

    /** Of each clip of an epoch the first sample, then the targets. */
    private List<float[]> rows(int workers, String... settings) {
        String[] all = Arrays.copyOf(settings, settings.length + 2);
        all[settings.length] = "train.batch_size=" + CLIPS;
        all[settings.length + 1] = "train.workers=" + workers;
        try (Batches batches = batches(all); var _ = new PointerScope()) {
            return rows(batches, 0, 0);
        }
    }

    private Batches batches(String... settings) {
        return new Batches(dataset, TinyTraining.recipe(settings), FrontEnd.named(LogMel.NAME, Devices.cpu()),
                Devices.cpu(), AS_THEY_ARE);
    }

    private static List<float[]> rows(Batches batches, int epoch, int number) {
        List<float[]> rows = new ArrayList<>();
        try (Batches.Batch batch = batches.get(epoch, number)) {
            for (int i = 0; i < batch.size(); i++) {
                float[] row = new float[1 + CLIPS];
                row[0] = Tensors.toFloats(batch.examples().orElseThrow().images().select(0, i).narrow(0, 0, 1))[0];
                System.arraycopy(Tensors.toFloats(batch.examples().orElseThrow().targets().select(0, i)), 0, row, 1,
                        CLIPS);
                rows.add(row);
            }
        }
        return rows;
    }
}
