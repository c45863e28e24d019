package io.audiomamba.data;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A dataset without a file: {@value #CLIPS} made-up sounds whose labels are what they were made by, to learn hearing
 * from before there is anything to recognise. Each sound is made anew whenever it is read.
 */
final class SyntheticSounds implements Dataset.Sounds {

    /** What to read it as, where no file has that name. */
    static final Path NAME = Path.of("synthetic");

    private static final int CLIPS = 20_000;
    private static final int RATE = 32_000;

    static Dataset dataset() {
        List<String> labels = SyntheticSound.vocabulary();
        return new Dataset("synthetic", labels, IntStream.range(0, CLIPS).mapToObj(i -> new Clip("" + i, NAME,
                new SyntheticSound(i).labels().stream().map(labels::indexOf).toList(), 0)).toList(), List.of(),
                new SyntheticSounds());
    }

    @Override
    public float[] read(Clip clip, int sampleRate) {
        return new SyntheticSound(Integer.parseInt(clip.name())).render(sampleRate);
    }

    @Override
    public int storedRate(Clip clip) {
        return RATE;
    }
}
