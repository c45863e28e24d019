package io.audiomamba.data;

import io.audiomamba.error.ConfigurationException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** A folder for each class, named after it, with sounds in it or below; other files are ignored. There are no folds. */
final class ClassFolders {

    private ClassFolders() {}

    static Dataset read(Path root) {
        List<String> labels = new ArrayList<>();
        List<Clip> clips = new ArrayList<>();
        List<String> ignored = new ArrayList<>();
        FileTree tree = FileTree.of(root);
        Map<Path, List<Path>> files = tree.files().stream()
                .collect(Collectors.groupingBy(file -> root.resolve(root.relativize(file).getName(0))));
        for (Path folder : tree.folders()) {
            int label = labels.size();
            labels.add(folder.getFileName().toString());
            var byKind = files.getOrDefault(folder, List.of()).stream()
                    .collect(Collectors.partitioningBy(FileTree::isSound));
            if (byKind.get(true).isEmpty()) {
                throw new ConfigurationException(folder + ": there is no clip of this class, such as a .wav file; put"
                        + " sounds in or take the folder away.");
            }
            byKind.get(true).forEach(file -> clips.add(new Clip(FileTree.name(root, file), file, List.of(label), 0)));
            byKind.get(false).forEach(file -> ignored.add(FileTree.name(root, file)));
        }
        if (clips.isEmpty()) {
            throw new ConfigurationException(root + ": is no dataset: neither packed, nor of ESC-50's layout"
                    + " (meta/esc50.csv) or AudioSet's (a file of segments), nor a folder with a folder of sounds for"
                    + " each class.");
        }
        return new Dataset(Dataset.titleOf(root), labels, clips, List.of(), ignored, Dataset.Sounds.DECODED);
    }
}
