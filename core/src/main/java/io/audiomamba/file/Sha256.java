package io.audiomamba.file;

import io.audiomamba.error.CheckpointException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** A fingerprint: SHA-256, as 64 hexadecimal digits. */
public final class Sha256 {

    private static final int CHUNK = 1 << 18;

    private final MessageDigest digest;

    /** The fingerprint of nothing yet. */
    public Sha256() {
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every JDK has it
        }
    }

    /** Takes in what remains of {@code bytes}. */
    public void add(ByteBuffer bytes) {
        digest.update(bytes);
    }

    /** The digits for all that was taken in; nothing may be added after that. */
    public String digits() {
        return HexFormat.of().formatHex(digest.digest());
    }

    /** The fingerprint of a text in UTF-8. */
    public static String of(String text) {
        Sha256 hash = new Sha256();
        hash.add(ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
        return hash.digits();
    }

    /**
     * The fingerprint of a file.
     *
     * @throws CheckpointException if it cannot be read
     */
    public static String of(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            Sha256 hash = new Sha256();
            byte[] chunk = new byte[CHUNK];
            for (int n = in.read(chunk); n >= 0; n = in.read(chunk)) {
                hash.add(ByteBuffer.wrap(chunk, 0, n));
            }
            return hash.digits();
        } catch (IOException e) {
            throw new CheckpointException(file + ": cannot be read (" + e.getMessage() + ").", e);
        }
    }
}
