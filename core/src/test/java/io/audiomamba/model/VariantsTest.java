package io.audiomamba.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvFileSource;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class VariantsTest {

    @Test
    void forSoundEachIsFedWhatItCanRead() {
        ModelConfig folded = Variants.named("tiny_s1l8").forSound(7, HeadKind.TOKEN_SEMANTIC);
        assertThat(folded.input()).isEqualTo(InputKind.FOLDED_LOG_MEL);
        assertThat(folded.head()).isEqualTo(HeadKind.TOKEN_SEMANTIC);
        assertThat(folded.classes()).isEqualTo(7);
        ModelConfig dass = Variants.named("dass_small").forSound(7, HeadKind.TOKEN_SEMANTIC);
        assertThat(dass.input()).isEqualTo(InputKind.FILTER_BANK);
        assertThat(dass.head()).as("nothing is folded").isEqualTo(HeadKind.LINEAR);
    }

    /** The official code's tensors, shapes, parameter counts and operations. */
    @ParameterizedTest
    @CsvFileSource(resources = "/golden/variants.csv")
    void agreesWithTheOfficialCode(String variant, long count, Double gigaOperations, String keys) throws Exception {
        ModelConfig config = Variants.named(variant);
        try (Parameters parameters = new Parameters(Parameters.Source.shapesOnly())) {
            new AudioMamba(config, parameters);
            assertThat(parameters.count()).isEqualTo(count);
            List<String> lines = new ArrayList<>();
            parameters.tensors().forEach((name, tensor) -> lines.add(name + " "
                    + Arrays.toString(io.audiomamba.torch.Tensors.shape(tensor)).replaceAll("(, 1)+]$", "]")));
            byte[] text = lines.stream().sorted().collect(Collectors.joining("\n")).getBytes();
            assertThat(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text)))
                    .as("%s", lines).isEqualTo(keys);
        }
        if (gigaOperations != null) {
            // The reference rounds each einsum to four digits.
            assertThat(ComputeCost.operations(config, 256, 256) / 1e9).isCloseTo(gigaOperations,
                    Percentage.withPercentage(0.002));
        }
    }

    /** What the paper prints: 5.2, 12.3 and 40 million. */
    @ParameterizedTest
    @CsvSource({"nano,5239759", "micro,12258623", "tiny,40420063"})
    void thePapersSizes(String preset, long count) {
        try (Parameters parameters = new Parameters(Parameters.Source.shapesOnly())) {
            new AudioMamba(Variants.named(preset), parameters);
            assertThat(parameters.count()).isEqualTo(count);
        }
    }

    static List<String> names() {
        return Variants.names();
    }

    @ParameterizedTest
    @MethodSource("names")
    void surviveTheWayToJsonAndBack(String name) {
        ModelConfig config = Variants.named(name);
        assertThat(ModelConfigJson.read(ModelConfigJson.write(config))).isEqualTo(config);
    }

    @Test
    void anUnknownNameListsTheKnown() {
        assertThatThrownBy(() -> Variants.named("huge")).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("'huge'").hasMessageContaining("nano, micro, tiny");
    }

    /** The list must be the one that the official code gives, not a shorter one. */
    @Test
    void everyOfficialVariantIsChecked() throws Exception {
        Path csv = Path.of(VariantsTest.class.getResource("/golden/variants.csv").toURI());
        try (var lines = Files.lines(csv)) {
            assertThat(lines.filter(line -> !line.startsWith("#"))).hasSize(21);
        }
    }
}
