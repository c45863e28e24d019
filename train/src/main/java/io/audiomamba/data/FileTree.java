package io.audiomamba.data;

import io.audiomamba.error.ConfigurationException;
import java.io.IOException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * What lies in a folder, in a fixed order. Hidden files and folders do not count; links are followed, but for those that
 * lead back to a folder that they lie in.
 *
 * @param folders directly in it
 * @param files   in it and in all folders below
 */
record FileTree(List<Path> folders, List<Path> files) {

    /** Endings of the names of files that hold sound. */
    private static final Set<String> SOUND = Set.of("wav", "wave", "w64", "aif", "aiff", "aifc", "flac", "mp3", "ogg",
            "oga", "opus", "aac", "m4a", "m4b", "mp4", "mov", "mka", "mkv", "weba", "webm");

    /** @throws ConfigurationException if {@code root} or a folder below cannot be listed */
    static FileTree of(Path root) {
        List<Path> folders = new ArrayList<>();
        List<Path> files = new ArrayList<>();
        try {
            Files.walkFileTree(root, Set.of(FileVisitOption.FOLLOW_LINKS), Integer.MAX_VALUE,
                    new SimpleFileVisitor<>() {
                        @Override
                        public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
                            if (folder.equals(root)) {
                                return FileVisitResult.CONTINUE;
                            }
                            if (isHidden(folder)) {
                                return FileVisitResult.SKIP_SUBTREE;
                            }
                            if (root.relativize(folder).getNameCount() == 1) {
                                folders.add(folder);
                            }
                            return FileVisitResult.CONTINUE;
                        }

                        @Override
                        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                            if (attributes.isRegularFile() && !isHidden(file)) {
                                files.add(file);
                            }
                            return FileVisitResult.CONTINUE;
                        }

                        @Override
                        public FileVisitResult visitFileFailed(Path file, IOException e) throws IOException {
                            if (e instanceof FileSystemLoopException || !file.equals(root) && isHidden(file)) {
                                return FileVisitResult.CONTINUE;
                            }
                            throw e;
                        }
                    });
        } catch (IOException e) {
            throw new ConfigurationException(root + ": cannot be listed (" + e.getClass().getSimpleName() + ": "
                    + e.getMessage() + ").", e);
        }
        folders.sort(null);
        files.sort(null);
        return new FileTree(folders, files);
    }

    private static boolean isHidden(Path path) {
        return path.getFileName().toString().startsWith(".");
    }

    /** Whether {@code file} is named as a file of sound. */
    static boolean isSound(Path file) {
        String name = file.getFileName().toString();
        return name.contains(".") && SOUND.contains(name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT));
    }

    /** {@code file} from {@code root} on, written alike on every system. */
    static String name(Path root, Path file) {
        return root.relativize(file).toString().replace('\\', '/');
    }
}
