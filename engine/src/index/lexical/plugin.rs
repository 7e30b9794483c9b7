//! Vectors as a component of tantivy's segments: written, merged, listed and deleted with them.

use std::any::Any;
use std::io::Write;

use tantivy::directory::TerminatingWrite;
use tantivy::index::SegmentComponent;
use tantivy::schema::document::ErasedDocument;
use tantivy::schema::{FieldType, Schema, Value};
use tantivy::{
    DocId, PluginMergeContext, PluginWriter, PluginWriterContext, Segment, SegmentPlugin, SegmentReader,
    TantivyDocument,
};

use crate::index::vector::{VectorFile, VectorFileBuilder};

/// Names our custom field type in tantivy's schema.
pub const FIELD_TYPE: &str = "waypost-vector";
/// The file's ending in a segment.
pub const EXTENSION: &str = "vec";

/// Makes and merges the `.vec` file of each segment.
pub struct VectorPlugin {
    dim: usize,
}

impl VectorPlugin {
    /// For vectors of `dim` numbers; 0 keeps empty files until a model is there.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }
}

impl SegmentPlugin for VectorPlugin {
    fn extensions(&self) -> &[&str] {
        &[EXTENSION]
    }

    fn create_writer(&self, _context: &PluginWriterContext<'_>) -> tantivy::Result<Box<dyn PluginWriter>> {
        Ok(Box::new(VectorWriter { builder: VectorFileBuilder::new(self.dim) }))
    }

    /// Live rows of the old segments in their order: that is the order that tantivy itself gives the documents
    /// while the index is not sorted by a field.
    fn merge(&self, context: PluginMergeContext<'_>) -> tantivy::Result<()> {
        let mut builder = VectorFileBuilder::new(self.dim);
        for reader in context.readers {
            let bytes = vector_bytes(reader)?;
            let file = VectorFile::parse(&bytes).map_err(|error| damaged(&error.to_string()))?;
            for doc in reader.doc_ids_alive() {
                builder.push(file.row(doc));
            }
        }
        write_component(context.target_segment, builder)
    }
}

/// The mapped bytes of a segment's vectors.
pub fn vector_bytes(reader: &SegmentReader) -> tantivy::Result<tantivy::directory::OwnedBytes> {
    let slice = reader.open_read(SegmentComponent::Custom(EXTENSION.to_owned()))?;
    Ok(slice.read_bytes()?)
}

struct VectorWriter {
    builder: VectorFileBuilder,
}

impl PluginWriter for VectorWriter {
    fn add_document(
        &mut self,
        _doc: DocId,
        document: &dyn ErasedDocument,
        schema: &Schema,
    ) -> tantivy::Result<()> {
        let field = schema
            .fields()
            .find(|(_, entry)| matches!(entry.field_type(), FieldType::Custom(_)))
            .map(|(field, _)| field);
        let document = document.as_any().downcast_ref::<TantivyDocument>();
        let bytes = document.zip(field).and_then(|(document, field)| document.get_first(field));
        let row: Option<Vec<f32>> = bytes.and_then(|value| value.as_custom()).map(|bytes| {
            bytes
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect()
        });
        self.builder.push(row.as_deref());
        Ok(())
    }

    fn serialize(
        self: Box<Self>,
        segment: &Segment,
        _doc_id_map: Option<&tantivy::indexer::DocIdMapping>,
    ) -> tantivy::Result<()> {
        write_component(segment, self.builder)
    }

    fn mem_usage(&self) -> usize {
        self.builder.mem_usage()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

fn write_component(segment: &Segment, builder: VectorFileBuilder) -> tantivy::Result<()> {
    let segment = segment.clone();
    let mut write = segment.open_write(SegmentComponent::Custom(EXTENSION.to_owned()))?;
    builder.finish(&mut write)?;
    write.flush()?;
    write.terminate()?;
    Ok(())
}

fn damaged(what: &str) -> tantivy::TantivyError {
    tantivy::TantivyError::InternalError(format!("a segment's vectors: {what}"))
}
