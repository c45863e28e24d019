package io.audiomamba.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TerminalBarTest {

    private static final List<String> WORDS = List.of("epoch 3/40", "loss 1.5468", "17 min left",
            "accuracy 83.33 %", "0.3 clips/s");

    @Test
    void aWideTerminalHasABar() {
        assertThat(TerminalBar.line(WORDS, 42, 100, 120)).isEqualTo("epoch 3/40  loss 1.5468  17 min left"
                + "  accuracy 83.33 %  0.3 clips/s  [============>                   ]  42 %");
        assertThat(TerminalBar.line(WORDS, 100, 100, 79))
                .isEqualTo("epoch 3/40  loss 1.5468  17 min left  accuracy 83.33 %  [===============] 100 %");
    }

    @Test
    void aNarrowTerminalShowsWhatMattersMost() {
        assertThat(TerminalBar.line(WORDS, 42, 100, 39)).isEqualTo("epoch 3/40  loss 1.5468  17 min left");
        assertThat(TerminalBar.line(WORDS, 42, 100, 24)).isEqualTo("epoch 3/40  loss 1.5468");
        assertThat(TerminalBar.line(WORDS, 42, 100, 5)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 20, 59, 60, 61, 79, 100, 200})
    void nothingIsEverTooLong(int width) {
        for (int done = 0; done <= 7; done++) {
            assertThat(TerminalBar.line(WORDS, done, 7, width)).hasSizeLessThanOrEqualTo(width);
        }
    }
}
