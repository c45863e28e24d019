package io.audiomamba.registry;

import io.audiomamba.checkpoint.Description;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.exchange.ForeignCheckpoint;
import io.audiomamba.file.Sha256;
import io.audiomamba.file.WholeFile;
import io.audiomamba.labels.Labels;
import io.audiomamba.model.Variants;
import java.io.IOException;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Puts public models into a user's folder: fetched, checked, imported. In the folder, {@code models} holds what is
 * installed, {@code downloads} what is on its way, and {@code sha256.txt} what was fetched once.
 */
public final class Installer {

    private final Path downloads;
    private final Path models;
    private final Fingerprints fingerprints;
    private final Downloader downloader;

    /** @param home the user's folder; it need not exist */
    public Installer(Path home, Downloader downloader) {
        this.downloads = home.resolve("downloads");
        this.models = home.resolve("models");
        this.fingerprints = new Fingerprints(home.resolve("sha256.txt"));
        this.downloader = downloader;
    }

    /** Where {@code model} is, or would be, installed. */
    public Path fileOf(PublicModel model) {
        return models.resolve(model.name() + ".safetensors");
    }

    /** Where a user who fetches {@code model} by hand has to put its file. */
    public Path downloadOf(PublicModel model) {
        return downloads.resolve(model.file());
    }

    /**
     * Installs a model, from the file that already lies in {@link #downloadOf} if there is one.
     *
     * @return {@link #fileOf} the model
     * @throws EnvironmentException if it cannot be fetched; says what to fetch by hand, and where to put it; or if it
     *                              is being fetched already, or cannot be written
     * @throws CheckpointException  if what was fetched is not what it should be; it is deleted then
     */
    public Path install(PublicModel model, Downloader.Progress progress) {
        Path download = downloadOf(model);
        boolean byHand = Files.exists(download);
        createFolders();
        if (!byHand) {
            fetch(model, download, progress);
        }
        String sha256 = Sha256.of(download);
        try {
            check(model, download, sha256);
            importInto(model, download, byHand);
        } catch (CheckpointException e) {
            if (byHand) {
                throw e; // it is the user's
            }
            delete(download);
            throw new CheckpointException(e.getMessage() + " It was deleted.", e);
        }
        fingerprints.remember(model.file(), sha256);
        delete(download);
        return fileOf(model);
    }

    private void createFolders() {
        try {
            Files.createDirectories(downloads);
            Files.createDirectories(models);
        } catch (IOException e) {
            throw new EnvironmentException(downloads.getParent() + ": cannot be written (" + e.getMessage()
                    + "); AUDIOMAMBA_HOME names another folder.", e);
        }
    }

    private void fetch(PublicModel model, Path download, Downloader.Progress progress) {
        try {
            downloader.fetch(model.url(), download, progress);
        } catch (IOException e) {
            throw WholeFile.unwritable(download, e);
        } catch (OverlappingFileLockException e) {
            throw new EnvironmentException(download + ": is being fetched already; wait until it is there, and call"
                    + " 'audiomamba pull " + model.name() + "' again.", e);
        } catch (EnvironmentException e) {
            throw new EnvironmentException(e.getMessage() + " Without a network, fetch that address elsewhere, put the"
                    + " file here as " + download + ", and call 'audiomamba pull " + model.name() + "' again.", e);
        }
    }

    private void check(PublicModel model, Path download, String sha256) {
        String expected = model.sha256() != null ? model.sha256() : fingerprints.of(model.file()).orElse(sha256);
        if (!expected.equals(sha256)) {
            throw new CheckpointException(download + ": is not what " + (model.sha256() != null
                    ? "its authors published"
                    : "was fetched the first time (delete its line in " + fingerprints.file() + " to accept it)")
                    + ": its SHA-256 is " + sha256 + ", not " + expected + ".");
        }
    }

    private void importInto(PublicModel model, Path download, boolean byHand) {
        try (ForeignCheckpoint checkpoint = ForeignCheckpoint.open(download)) {
            Map<String, String> origin = new LinkedHashMap<>();
            origin.put("title", model.title());
            origin.put("published figure", model.figure());
            origin.put("licence", model.licence());
            origin.put("page", String.valueOf(model.page()));
            origin.put("fetched from", byHand ? "by hand" : model.url().toString());
            Description description = checkpoint.describedBy(Labels.read(model.labels()), model.labels()).with(origin);
            String variant = Variants.nameOf(description.model()).orElse("unpublished");
            if (!variant.equals(model.variant())) {
                throw new CheckpointException(download + ": holds the architecture " + variant + ", not "
                        + model.variant() + ".");
            }
            checkpoint.write(fileOf(model), description);
        }
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw new EnvironmentException(file + ": cannot be deleted (" + e.getMessage() + ").", e);
        }
    }
}
