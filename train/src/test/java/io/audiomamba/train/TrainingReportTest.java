package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.audiomamba.checkpoint.Description;
import io.audiomamba.data.Dataset;
import io.audiomamba.data.Tones;
import io.audiomamba.evaluation.Predictions;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.Variants;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;

class TrainingReportTest {

    private static final List<EpochFigures> EPOCHS = List.of(
            new EpochFigures(1, 2.5, 1e-3, 10.0, 0, 1, null, null, null),
            new EpochFigures(2, 1.25, 5e-4, 10.0, 1, 2, 0.5, 0.75, 0.875));

    private static Description description(String... labels) {
        return new Description(
                Variants.named("nano_s1").forAudio(InputKind.FOLDED_LOG_MEL, labels.length, HeadKind.TOKEN_SEMANTIC),
                "htsat-logmel", List.of(labels), Description.Activation.SOFTMAX, 1,
                Map.of("data", "tones, 4 clips", "recipe", "model:\n  preset: nano_s1", "weights", "trained, seed 7"));
    }

    private static String page(Predictions heldOut, Map<String, String> unreadable, String... labels) {
        return new TrainingReport(description(labels), 2, EPOCHS.getLast()).html(Optional.of(new byte[] {1, 2, 3}),
                heldOut,
                unreadable);
    }

    @Test
    void everythingIsOnThePage() {
        Dataset clips = Tones.dataset(List.of("dog <barks>", "rain"), 1, 2);
        Predictions heldOut = Predictions.of(clips, new float[][] {{2, 1}, {0, 3}, {0, 1}, {1, 4}});
        String page = page(heldOut, Map.of("a.wav", "a.wav: is damaged."), "dog <barks>", "rain");
        assertThat(page).contains("Training on tones, 4 clips", "1.2500", "75.00 %", "preset: nano_s1",
                "trained, seed 7", "dog &lt;barks&gt;", "left out: 1", "a.wav: is damaged.",
                Base64.getEncoder().encodeToString(new byte[] {1, 2, 3}));
        assertThat(page).contains("Confusion matrix").doesNotContain("{{").doesNotContain("http://")
                .doesNotContain("https://").doesNotContain("<script");
        // One dog was taken for rain; both rains were heard.
        assertThat(page.replaceAll("\\s+", " ")).containsPattern(
                "dog &lt;barks&gt;</th><td>1</td><td style=\"[^\"]*0\\.40\\)\">1</td><td style=\"[^\"]*0\\.40\\)\">1</td>")
                .containsPattern(
                        "rain</th><td>2</td><td style=\"[^\"]*0\\.00\\)\">0</td><td style=\"[^\"]*0\\.80\\)\">2<");
    }

    @Test
    void withoutHeldOutClips() {
        assertThat(page(null, Map.of(), "dog", "rain")).contains("No clips were held out")
                .doesNotContain("Confusion matrix").doesNotContain("left out");
    }

    @Test
    void aConfusionMatrixThatNobodyCouldRead() {
        String[] labels = new String[100];
        Arrays.setAll(labels, i -> "class " + i);
        Dataset clips = Tones.dataset(List.of(labels), 1, 1);
        assertThat(page(Predictions.of(clips, new float[100][100]), Map.of(), labels)).contains("class 99")
                .doesNotContain("Confusion matrix");
    }

    @Test
    void curvesAreAPicture() throws IOException {
        assumeTrue(Fonts.available(), "no fonts on this machine");
        byte[] png = new LearningCurves(EPOCHS).png().orElseThrow();
        var image = ImageIO.read(new ByteArrayInputStream(png));
        assertThat(image.getWidth()).isGreaterThanOrEqualTo(900);
        assertThat(image.getHeight()).as("loss, measures, learning rate").isGreaterThanOrEqualTo(900);
    }
}
