package io.audiomamba.data;

import io.audiomamba.error.ConfigurationException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** A folder for each class, named after it, with sounds inside. There are no folds. */
final class ClassFolders {

    private ClassFolders() {}

    static Dataset read(Path root) {
        List<String> labels = new ArrayList<>();
        List<Clip> clips = new ArrayList<>();
        for (Path folder : visible(root, Files::isDirectory)) {
            int label = labels.size();
            labels.add(folder.getFileName().toString());
            for (Path file : visible(folder, Files::isRegularFile)) {
                clips.add(new Clip(root.relativize(file).toString(), file, List.of(label), 0));
            }
        }
        if (clips.isEmpty()) {
            throw new ConfigurationException(root + ": is no dataset: neither packed, nor of ESC-50's layout"
                    + " (meta/esc50.csv), nor a folder with a folder of sounds for each class.");
        }
        return new Dataset(root.getFileName().toString(), labels, clips, Dataset.Sounds.DECODED);
    }

    private interface Kind {
        boolean is(Path path, java.nio.file.LinkOption... options);
    }

    private static List<Path> visible(Path folder, Kind kind) {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.filter(path -> kind.is(path) && !path.getFileName().toString().startsWith(".")).sorted()
                    .toList();
        } catch (IOException e) {
            throw new ConfigurationException(folder + ": cannot be listed (" + e.getMessage() + ").", e);
        }
    }
}
