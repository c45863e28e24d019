package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.Variants;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LayerRatesTest {

    /** Depths 1, 2, 1: four blocks between what comes before them and the head. */
    private static final ModelConfig CONFIG = Variants.named("nano_s1_chunky");

    private static LayerRates rates(String... settings) {
        return new LayerRates(CONFIG, TinyTraining.recipe(settings).optimizer());
    }

    @ParameterizedTest
    @CsvSource({"patch_embed.0.weight,5", "bn0.weight,5", "layers.0.blocks.0.op.Ds,4", "layers.0.downsample.1.weight,4",
            "layers.1.blocks.0.norm.weight,3", "layers.1.blocks.1.op.A_logs,2", "layers.1.attention.qkv.weight,2",
            "layers.2.blocks.0.norm.bias,1", "norm.weight,0", "tscam_conv.weight,0", "classifier.head.bias,0"})
    void fallWithTheDistanceToTheHead(String name, int exponent) {
        assertThat(rates("optimizer.layer_decay=0.5").applyAsDouble(name)).isEqualTo(Math.pow(0.5, exponent));
        assertThat(rates().applyAsDouble(name)).isEqualTo(1);
    }

    @Test
    void whatIsFrozenDoesNotLearn() {
        LayerRates rates = rates("optimizer.frozen=[patch_embed, layers.0]");
        assertThat(rates.applyAsDouble("patch_embed.0.weight")).isZero();
        assertThat(rates.applyAsDouble("layers.0.blocks.0.op.Ds")).isZero();
        assertThat(rates.applyAsDouble("layers.1.blocks.0.op.Ds")).isEqualTo(1);
    }

    @Test
    void nonsenseIsNamed() {
        Set<String> names = Set.of("patch_embed.0.weight", "layers.0.blocks.0.op.Ds");
        assertThatThrownBy(() -> rates("optimizer.frozen=[encoder]").checked(names))
                .isInstanceOf(ConfigurationException.class).hasMessageContaining("'encoder'");
        assertThatThrownBy(() -> rates("optimizer.frozen=[patch, layers]").checked(names))
                .isInstanceOf(ConfigurationException.class).hasMessageContaining("nothing to train");
    }
}
