package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class PictureTest {

    /** Java's words where fontconfig is there and fonts are not. */
    @Test
    void whatCannotBeDrawnIsNoPicture() {
        assertThat(Picture.png(() -> {
            throw new Error("Probable fatal error: No physical fonts found.");
        })).isEmpty();
    }

    @Test
    void memoryThatRunsOutIsNotHidden() {
        assertThatThrownBy(() -> Picture.png(() -> {
            throw new OutOfMemoryError("full");
        })).isInstanceOf(OutOfMemoryError.class);
    }
}
