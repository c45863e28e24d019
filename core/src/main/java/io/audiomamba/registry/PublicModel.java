package io.audiomamba.registry;

import io.audiomamba.error.ConfigurationException;
import java.net.URI;
import java.util.List;
import java.util.Locale;

/**
 * A checkpoint that its authors published.
 *
 * @param name       by which a user asks for it
 * @param aliases    shorter names of the newest of several versions
 * @param title      for people; its name if there is none
 * @param task       what it is good for
 * @param variant    the architecture that it must turn out to have
 * @param parameters number of trainable values; 0 if nobody says
 * @param figure     what its authors report
 * @param licence    under which they publish it
 * @param page       where they do; {@code url} if there is none
 * @param url        of the file
 * @param file       what the file is called on the user's disk
 * @param labels     of its classes: {@code audioset} or {@code imagenet}
 * @param sha256     that the authors publish; null if they do not, and the first download's counts from then on
 */
public record PublicModel(String name, List<String> aliases, String title, Task task, String variant, long parameters,
        String figure, String licence, URI page, URI url, String file, String labels, String sha256) {

    private static final String NOT_STATED = "not stated";

    /** What a model is good for. */
    public enum Task {
        /** It names sounds. */
        TAGGING,
        /** Its weights are a start for a training. */
        INITIALISATION
    }

    /** @throws ConfigurationException naming the value that makes no sense */
    public PublicModel {
        require(name != null && name.matches("[\\w.-]+"), "name", name, "letters, digits, '_', '-' and '.'");
        require(file != null && file.matches("\\w[\\w.-]*"), "file", file, "the name of a file, without a folder");
        require(url != null && List.of("https", "http").contains(String.valueOf(url.getScheme())), "url", url,
                "an address of the web");
        require(sha256 == null || sha256.matches("\\p{XDigit}{64}"), "sha256", sha256, "64 hexadecimal digits");
        require(variant != null, "variant", variant, "a name that 'audiomamba init' knows");
        title = title == null ? name : title;
        figure = figure == null ? NOT_STATED : figure;
        licence = licence == null ? NOT_STATED : licence;
        page = page == null ? url : page;
        aliases = aliases == null ? List.of() : List.copyOf(aliases);
        labels = labels == null ? "audioset" : labels;
        task = task == null ? Task.TAGGING : task;
        sha256 = sha256 == null ? null : sha256.toLowerCase(Locale.ROOT);
    }

    private static void require(boolean fits, String key, Object value, String right) {
        if (!fits) {
            throw new ConfigurationException(
                    "A registered model's " + key + " is " + value + " but must be " + right + ".");
        }
    }

    /** Whether {@code wanted} is one of its names. */
    boolean isCalled(String wanted) {
        return name.equals(wanted) || aliases.contains(wanted);
    }
}
