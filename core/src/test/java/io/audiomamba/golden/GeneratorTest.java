package io.audiomamba.golden;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HexFormat;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

class GeneratorTest {

    private final JsonNode samples = samples();

    private static JsonNode samples() {
        try (InputStream in = GeneratorTest.class.getResourceAsStream("/golden/generator_samples.json")) {
            return new ObjectMapper().readTree(in);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void hashes() {
        samples.get("fnv1a64").properties().forEach(entry -> assertThat(Generator.hash(entry.getKey()))
                .isEqualTo(HexFormat.fromHexDigitsToLong(entry.getValue().asString().substring(2))));
    }

    @Test
    void uniformNumbers() {
        samples.get("u").properties().forEach(entry -> entry.getValue()
                .forEach(u -> assertThat(Generator.uniform(Generator.hash(entry.getKey()), u.get("i").asLong()))
                        .isEqualTo(u.get("u").asDouble())));
    }

    @Test
    void values() {
        samples.get("values").properties().forEach(entry -> {
            float[] values = Generator.values(entry.getKey(), size(shape(entry.getValue())));
            assertThat(crc32(values)).isEqualTo(entry.getValue().get("crc32_of_le_f32").asString());
        });
    }

    @Test
    void weights() {
        samples.get("weights").forEach(weight -> {
            String key = weight.get("key").asString();
            float[] values = Generator.weights(key, shape(weight), "");
            assertThat(crc32(values)).as(key).isEqualTo(weight.get("crc32_of_le_f32").asString());
        });
    }

    private static long[] shape(JsonNode sample) {
        return sample.get("shape").valueStream().mapToLong(JsonNode::asLong).toArray();
    }

    private static long size(long[] shape) {
        long size = 1;
        for (long length : shape) {
            size *= length;
        }
        return size;
    }

    private static String crc32(float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        CRC32 crc = new CRC32();
        crc.update(bytes.array());
        return HexFormat.of().toHexDigits(crc.getValue(), 8);
    }
}
