package io.audiomamba.data;

import io.audiomamba.error.ConfigurationException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;

/** What lies in a folder, but for hidden files and folders, in a fixed order. */
final class FileTree {

    /** Deep enough for every layout, and an end to links that go round in circles. */
    private static final int DEPTH = 8;

    /** Endings of the names of files that hold sound. */
    private static final Set<String> SOUND = Set.of("wav", "wave", "w64", "aif", "aiff", "aifc", "flac", "mp3", "ogg",
            "oga", "opus", "aac", "m4a", "m4b", "mp4", "mov", "mka", "mkv", "weba", "webm");

    private FileTree() {}

    /** The folders directly in {@code root}. */
    static List<Path> folders(Path root) {
        return list(root, 1, Files::isDirectory);
    }

    /** The files in {@code root} and in all folders below. */
    static List<Path> files(Path root) {
        return list(root, DEPTH, Files::isRegularFile);
    }

    /** Whether {@code file} is named as a file of sound. */
    static boolean isSound(Path file) {
        String name = file.getFileName().toString();
        return SOUND.contains(name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT));
    }

    private interface Kind {
        boolean is(Path path, java.nio.file.LinkOption... options);
    }

    private static List<Path> list(Path root, int depth, Kind kind) {
        try (Stream<Path> entries = Files.walk(root, depth, FileVisitOption.FOLLOW_LINKS)) {
            return entries.filter(path -> !path.equals(root) && kind.is(path) && isVisible(root.relativize(path)))
                    .sorted().toList();
        } catch (IOException e) {
            throw unlistable(root, e);
        } catch (UncheckedIOException e) {
            throw unlistable(root, e.getCause());
        }
    }

    private static boolean isVisible(Path path) {
        for (Path part : path) {
            if (part.toString().startsWith(".")) {
                return false;
            }
        }
        return true;
    }

    private static ConfigurationException unlistable(Path root, IOException e) {
        return new ConfigurationException(root + ": cannot be listed (" + e.getClass().getSimpleName() + ": "
                + e.getMessage() + ").", e);
    }

    /** {@code file} from {@code root} on, written alike on every system. */
    static String name(Path root, Path file) {
        return root.relativize(file).toString().replace('\\', '/');
    }
}
